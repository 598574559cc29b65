//! Draws the picture of `docs/benchmarks.md` from the page's table of times: a row for each network, a mark
//! for each client.

use crate::strips::{Mark, Row, Strips};

/// Columns of the table that are not shown: one variant of connie is enough in a picture.
const LEFT_OUT: [&str; 4] =
    ["connie, 8 sockets", "connie, 4 sockets", "connie, 2 sockets", "connie, staggered"];

/// The picture of this page.
///
/// # Errors
///
/// What the page lacks.
pub fn picture(page: &str) -> Result<String, String> {
    let (_, table) = page.split_once("## Time\n").ok_or("there is no heading \"Time\"")?;
    let mut lines =
        table.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let heads = cells(lines.next().ok_or("there is no table of times")?);
    let rows: Vec<Row> = lines.skip(1).map(|line| row(&heads, &cells(line))).collect::<Result<_, _>>()?;
    let strips = Strips {
        title: "Time to the request at the server",
        notes: [
            "From the first query. Green: connie. Grey: others,",
            "each with its name. Bar: the best with one SYN to",
            "each address, which a client that sends a second",
            "one can beat. Old curl: 7.88. Logarithmic.",
        ],
        description: "The numbers are in benchmarks.md.",
        rows,
    };
    Ok(strips.draw())
}

/// The cells of a line of a table.
fn cells(line: &str) -> Vec<&str> {
    line.trim_matches('|').split('|').map(str::trim).collect()
}

/// A line of the table: the network, the oracle, the clients.
fn row(heads: &[&str], cells: &[&str]) -> Result<Row, String> {
    let (Some(name), true) = (cells.first(), cells.len() == heads.len()) else {
        return Err(format!("a line of the table has {} cells: {cells:?}", cells.len()));
    };
    let mut row = Row { name: (*name).to_owned(), bar: None, marks: Vec::new() };
    for (head, cell) in heads.iter().zip(cells).skip(1).filter(|(head, _)| !LEFT_OUT.contains(head)) {
        let millis = match cell.strip_prefix('>') {
            Some(_) => None,
            None => Some(cell.parse().map_err(|_| format!("{name}, {head}: {cell:?} is no time"))?),
        };
        match *head {
            "oracle" => row.bar = millis,
            head => row.marks.push(Mark { name: name_of(head), is_ours: head.starts_with("connie"), millis }),
        }
    }
    Ok(row)
}

/// What a client is called in the picture, without a comma: commas separate names there.
fn name_of(head: &str) -> String {
    match head {
        "curl, newest" => "curl".to_owned(),
        "curl, Debian's" => "old curl".to_owned(),
        head => head.split(", ").next().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# A page\n\n## Time\n\n| network | oracle | connie, 16 sockets | connie, 2 sockets | curl, newest |\n\
        |---|--:|--:|--:|--:|\n| one | 70 | 71 | 900 | > 10 s |\n\n## More\n";

    #[test]
    fn a_row_has_the_oracle_one_connie_and_the_others() {
        let heads = ["network", "oracle", "connie, 16 sockets", "connie, 2 sockets", "curl, newest"];
        let row = row(&heads, &["one", "70", "71", "900", "> 10 s"]).unwrap();
        assert_eq!((&row.name[..], row.bar), ("one", Some(70.0)));
        let marks: Vec<(&str, bool, Option<f64>)> =
            row.marks.iter().map(|mark| (&mark.name[..], mark.is_ours, mark.millis)).collect();
        assert_eq!(marks, [("connie", true, Some(71.0)), ("curl", false, None)]);
        let drawn = picture(PAGE).unwrap();
        assert!(drawn.contains(">one</text>") && drawn.contains(">curl</text>"), "{drawn}");
    }

    #[test]
    fn what_the_page_lacks_is_said() {
        assert_eq!(picture("").unwrap_err(), "there is no heading \"Time\"");
        assert_eq!(
            picture(&PAGE.replace("| 71 ", "| soon ")).unwrap_err(),
            "one, connie, 16 sockets: \"soon\" is no time"
        );
        assert!(
            picture(&PAGE.replace("| 71 ", "")).unwrap_err().starts_with("a line of the table has 4 cells")
        );
    }
}
