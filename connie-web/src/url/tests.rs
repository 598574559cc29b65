use super::*;

#[track_caller]
fn splits(text: &str, host: &str, port: u16, target: &str) {
    let expected = Url {
        scheme: Scheme::Http,
        credentials: None,
        host: host.to_owned(),
        port,
        target: target.to_owned(),
    };
    assert_eq!(Url::parse(text), Ok(expected), "{text}");
}

#[track_caller]
fn refuses(text: &str, part_of_reason: &str) {
    match Url::parse(text) {
        Err(UrlError::Malformed(reason)) => assert!(reason.contains(part_of_reason), "{text}: {reason}"),
        other => panic!("{text}: {other:?}"),
    }
}

#[track_caller]
fn has_scheme(text: &str, scheme: &str) {
    assert_eq!(Url::parse(text), Err(UrlError::UnsupportedScheme(scheme.to_owned())), "{text}");
}

#[test]
fn no_error_shows_a_password() {
    for text in [
        "http://u:secret/x@h/",
        "http://u:secret?x@h/",
        "u:secret#x@h",
        "http://u:secret x@h/",
        "http://u:secret@x@h/",
        "http://u:secret\\@h/",
        "http://u:a:secret/@h/",
        "http://u:secret@h:x/",
        "http://u:secret@[::1/",
    ] {
        let error = Url::parse(text).unwrap_err().to_string();
        assert!(!error.contains("secret"), "{text}: {error}");
    }
    for text in ["::1", "::1:8080", "2001:db8::1:80"] {
        let error = parse_host_port(text).unwrap_err().to_string();
        assert!(error.contains("in brackets"), "{text}: {error}");
    }
    for text in ["u:secret@h:80", "http://u:secret@h/", "u:secret @h:80"] {
        let error = parse_host_port(text).unwrap_err().to_string();
        assert!(error.contains("'@'") && !error.contains("secret"), "{text}: {error}");
    }
    // Without a password what was typed is shown.
    let error = Url::parse("http://h:x/@").unwrap_err().to_string();
    assert!(error.contains("'@'"), "{error}");
    assert!(Url::parse("http://h:x/").unwrap_err().to_string().starts_with("\"x\" is not a port"));
}

#[test]
fn urls_that_can_be_fetched() {
    splits("http://example.org", "example.org", 80, "/");
    splits("http://example.org/", "example.org", 80, "/");
    splits("http://example.org/a/b.html", "example.org", 80, "/a/b.html");
    splits("http://example.org:8080/a", "example.org", 8080, "/a");
    splits("http://example.org:/a", "example.org", 80, "/a");
    splits("http://example.org:0080/", "example.org", 80, "/");
    splits("http://example.org:65535", "example.org", 65535, "/");
    splits("http://example.org?q=1", "example.org", 80, "/?q=1");
    splits("http://example.org/?q=1&r=2", "example.org", 80, "/?q=1&r=2");
    splits("http://example.org/a?b?c", "example.org", 80, "/a?b?c");
    splits("http://example.org/a?u=http://b/../c", "example.org", 80, "/a?u=http://b/../c");
    splits("http://example.org/a#part", "example.org", 80, "/a");
    splits("http://example.org#part", "example.org", 80, "/");
    splits("http://example.org?q#part?x/y", "example.org", 80, "/?q");
    splits("HTTP://EXAMPLE.org/A", "example.org", 80, "/A");
    splits("hTTp://example.org", "example.org", 80, "/");
    splits("example.org", "example.org", 80, "/");
    splits("example.org/path", "example.org", 80, "/path");
    splits("localhost:8080", "localhost", 8080, "/");
    splits("localhost:8080/x?y", "localhost", 8080, "/x?y");
    splits("example.org/go?to=https://b.test/", "example.org", 80, "/go?to=https://b.test/");
    splits("http://127.0.0.1:1/", "127.0.0.1", 1, "/");
    splits("http://under_score.test/", "under_score.test", 80, "/");
    splits("http://xn--bcher-kva.example/", "xn--bcher-kva.example", 80, "/");
    splits("http://n%61me.test/", "name.test", 80, "/");
    splits("http://example.org./", "example.org.", 80, "/");
}

#[test]
fn ipv6_addresses() {
    splits("http://[::1]/", "::1", 80, "/");
    splits("http://[::1]:8080/a", "::1", 8080, "/a");
    splits("http://[::1]", "::1", 80, "/");
    splits("http://[::1]?q", "::1", 80, "/?q");
    splits("[::1]:8080", "::1", 8080, "/");
    splits("http://[2001:DB8:0:0::1]/", "2001:db8::1", 80, "/");
    splits("http://[::ffff:192.0.2.1]/", "::ffff:192.0.2.1", 80, "/");
    splits("http://[fe80::1%25eth0]/", "fe80::1%eth0", 80, "/");
    splits("http://[fe80::1%25eth0.100]:81/", "fe80::1%eth0.100", 81, "/");
    splits("http://[fe80::1%eth0]/", "fe80::1%eth0", 80, "/");
    splits("http://[fe80::1%2]/", "fe80::1%2", 80, "/");
    splits("http://[fe80::1%25]/", "fe80::1%25", 80, "/");
    splits("http://[fe80::1%25251]/", "fe80::1%251", 80, "/");
    splits("http://[fe80::1%251]/", "fe80::1%1", 80, "/");
    refuses("http://[::1/", "closing bracket");
    refuses("http://[::1]8080/", "not a port");
    refuses("http://[::1]a/", "not a port");
    refuses("http://[]/", "not an IPv6 address");
    refuses("http://[127.0.0.1]/", "not an IPv6 address");
    refuses("http://[1::2::3]/", "not an IPv6 address");
    refuses("http://[example.org]/", "not an IPv6 address");
    refuses("http://[fe80::1%]/", "zone");
    refuses("http://[fe80::1%25a/b]/", "closing bracket");
    refuses("http://::1/", "in brackets");
    refuses("2001:db8::1", "in brackets");
}

#[test]
fn paths_lose_their_dots() {
    splits("http://h/a/./b", "h", 80, "/a/b");
    splits("http://h/a/../b", "h", 80, "/b");
    splits("http://h/../../b", "h", 80, "/b");
    splits("http://h/a/b/..", "h", 80, "/a/");
    splits("http://h/a/.", "h", 80, "/a/");
    splits("http://h/..", "h", 80, "/");
    splits("http://h/a//b", "h", 80, "/a//b");
    splits("http://h//", "h", 80, "//");
    splits("http://h/...", "h", 80, "/...");
    splits("http://h/a/?../b", "h", 80, "/a/?../b");
}

#[test]
fn what_is_not_ascii_is_encoded_behind_the_host() {
    splits("http://h/bücher?q=ü", "h", 80, "/b%C3%BCcher?q=%C3%BC");
    splits("http://h/%20%zz", "h", 80, "/%20%zz");
    splits("http://h/{a}|b", "h", 80, "/{a}|b");
    #[cfg(not(feature = "idna"))]
    refuses("http://bücher.example/", "xn--");
}

#[test]
fn ports_that_cannot_be() {
    refuses("http://h:0/", "port 0");
    refuses("http://h:00000/", "port 0");
    refuses("http://h:65536/", "not a port");
    refuses("http://h:+80/", "not a port");
    refuses("http://h:-1/", "not a port");
    refuses("http://h:8o/", "not a port");
    refuses("mailto:x", "not a port");
}

#[test]
fn hosts_that_cannot_be() {
    refuses("", "no host");
    refuses("http://", "no host");
    refuses("http:///", "no host");
    refuses("http:///?q", "no host");
    refuses("http://:80/", "no host");
    refuses("http://?q", "no host");
    refuses("/path", "no host");
    refuses("http://a..b/", "two dots");
    refuses("http://./", "two dots");
    refuses("http://.a/", "two dots");
    refuses("http://a%2Fb/", "cannot contain '/'");
    refuses("http://a%40b/", "cannot contain '@'");
    refuses("http://a%00b/", "cannot contain");
    refuses("http://a%4/", "%");
    refuses("http://a%ff/", "%");
    refuses("http://a\\b/", "'\\\\'");
    refuses("http://a,b/", "','");
    refuses("http://user@/", "no host");
    refuses("http://a@b@h/", "two '@'");
    refuses("http://a%0d:b@h/", "control");
    refuses("http://other.test\\@h/", "backslash");
    refuses("http://other.test\\h/", "'\\\\'");
    refuses("http://a%ff:b@h/", "UTF-8");
    refuses("http://a%3ab:c@h/", "colon");
    refuses("http://h /", "space");
    refuses("http://h/a b", "space");
    refuses("http://h/a\tb", "space");
    refuses("http://h/a\r\nX: y", "space");
    refuses("http://h/\u{0}", "control");
    refuses("http://h/\u{85}", "control");
    refuses(" http://h/", "space");
}

#[test]
fn hosts_have_a_longest() {
    let label = "a".repeat(63);
    let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
    splits(&format!("http://{longest}/"), &longest, 80, "/");
    splits(&format!("http://{longest}./"), &format!("{longest}."), 80, "/");
    refuses(&format!("http://{longest}a/"), "254 octets");
    refuses(&format!("http://{label}a.test/"), "64 octets");
}

/// As curl and browsers have it in URLs. `HOST:PORT` has no such forms.
#[test]
fn ipv4_addresses_of_fewer_numbers() {
    for (text, address) in [
        ("127.1", "127.0.0.1"),
        ("0x7F.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("0177.0.0.01", "127.0.0.1"),
        ("192.0.513", "192.0.2.1"),
        ("0", "0.0.0.0"),
        ("4294967295", "255.255.255.255"),
        ("1.16777215", "1.255.255.255"),
        ("%31.1", "1.0.0.1"),
        ("192.0.2.1", "192.0.2.1"),
    ] {
        splits(&format!("http://{text}:81/"), address, 81, "/");
        let port = format!("{text}:81");
        assert!(parse_host_port(&port).is_err() || parse_host_port(&port) == Ok((text.to_lowercase(), 81)));
    }
    // These stay as they are, and are refused as names later.
    for text in ["4294967296", "1.16777216", "256.1", "1.2.3.256", "1.2.3.4.5", "08", "0x", "0xg", "1.2.3.4."]
    {
        splits(&format!("http://{text}/"), text, 80, "/");
    }
}

#[test]
fn schemes() {
    has_scheme("ftp://example.org/", "ftp");
    has_scheme("file:///etc/passwd", "file");
    has_scheme("svn+ssh://h/", "svn+ssh");
    has_scheme("gopher://h", "gopher");
    refuses("://h/", "nothing before");
    // As curl has it.
    splits("http:/h/", "h", 80, "/");
    splits("http:///h/", "h", 80, "/");
    refuses("http:", "two slashes");
    refuses("HTTPS:", "two slashes");
    refuses("http:////h/", "two slashes");
    refuses("https:////h/", "two slashes");
    refuses("http:h/", "not a port");
    splits("h:80/a://b", "h", 80, "/a://b");
    has_scheme("1h:/a", "1h");
    splits("h/#a#b", "h", 80, "/");
    splits("h/x:/a", "h", 80, "/x:/a");
    has_scheme("1http://h/", "1http");
    has_scheme("h:/a", "h");
    has_scheme("mailto:/x", "mailto");
    let secure = Url::parse("HTTPS://example.org/a").unwrap();
    assert_eq!((secure.scheme, secure.port), (Scheme::Https, 443));
    assert_eq!(Url::parse("https://h:80/").unwrap().to_string(), "https://h:80/");
    let error = Url::parse("ftp://h/").unwrap_err();
    assert_eq!(error.to_string(), "the scheme \"ftp\" is not supported: give an http or https URL");
}

#[test]
fn credentials_stand_before_the_host() {
    let has = |text: &str, user: &str, password: &str| {
        let expected = Credentials { user: user.to_owned(), password: password.to_owned() };
        assert_eq!(Url::parse(text).unwrap().credentials, Some(expected), "{text}");
    };
    has("http://user:secret@h/", "user", "secret");
    has("http://user@h/", "user", "");
    has("user:secret@h", "user", "secret");
    has("http://:secret@h/", "", "secret");
    has("http://us%40er:a:b%2F@h/", "us@er", "a:b/");
    has("http://u:%zz%@[::1]:8080/", "u", "%zz%");
    assert_eq!(Url::parse("http://@h/").unwrap().credentials, None);
    let url = Url::parse("http://user:secret@h:81/a@b").unwrap();
    assert_eq!((url.to_string().as_str(), url.port), ("http://h:81/a@b", 81));
    assert!(!format!("{url:?}").contains("secret"), "{url:?}");
}

#[test]
fn a_url_prints_as_it_is_read() {
    for text in [
        "http://h/",
        "https://h/a?b",
        "http://h:443/",
        "https://h:444/",
        "http://[::1]:81/",
        "http://[fe80::1%25eth0]/",
    ] {
        assert_eq!(Url::parse(text).unwrap().to_string(), text);
    }
}

/// RFC 3986 section 5.4, as far as it has the scheme of the base.
#[test]
fn references_are_resolved_as_the_standard_shows() {
    let base = Url::parse("http://a/b/c/d;p?q").unwrap();
    let joins = |reference: &str, expected: &str| {
        assert_eq!(base.join(reference).unwrap().to_string(), expected, "{reference:?}");
    };
    for (reference, expected) in [
        ("g", "http://a/b/c/g"),
        ("./g", "http://a/b/c/g"),
        ("g/", "http://a/b/c/g/"),
        ("/g", "http://a/g"),
        ("//g", "http://g/"),
        ("?y", "http://a/b/c/d;p?y"),
        ("g?y", "http://a/b/c/g?y"),
        ("#s", "http://a/b/c/d;p?q"),
        ("g#s", "http://a/b/c/g"),
        ("g?y#s", "http://a/b/c/g?y"),
        (";x", "http://a/b/c/;x"),
        ("g;x", "http://a/b/c/g;x"),
        ("", "http://a/b/c/d;p?q"),
        (".", "http://a/b/c/"),
        ("./", "http://a/b/c/"),
        ("..", "http://a/b/"),
        ("../", "http://a/b/"),
        ("../g", "http://a/b/g"),
        ("../..", "http://a/"),
        ("../../", "http://a/"),
        ("../../g", "http://a/g"),
        ("../../../g", "http://a/g"),
        ("../../../../g", "http://a/g"),
        ("/./g", "http://a/g"),
        ("/../g", "http://a/g"),
        ("g.", "http://a/b/c/g."),
        (".g", "http://a/b/c/.g"),
        ("g..", "http://a/b/c/g.."),
        ("..g", "http://a/b/c/..g"),
        ("./../g", "http://a/b/g"),
        ("./g/.", "http://a/b/c/g/"),
        ("g/./h", "http://a/b/c/g/h"),
        ("g/../h", "http://a/b/c/h"),
        ("g;x=1/./y", "http://a/b/c/g;x=1/y"),
        ("g;x=1/../y", "http://a/b/c/y"),
        ("g?y/./x", "http://a/b/c/g?y/./x"),
        ("g?y/../x", "http://a/b/c/g?y/../x"),
        ("g#s/./x", "http://a/b/c/g"),
    ] {
        joins(reference, expected);
    }
    joins("https://b:8443/x", "https://b:8443/x");
    joins("HTTP://B", "http://b/");
    joins(" /a b ", "http://a/a%20b");
    joins("/b\u{fc}cher", "http://a/b%C3%BCcher");
    joins("a/b:c", "http://a/b/c/a/b:c");
    assert_eq!(base.join("g:h"), Err(UrlError::UnsupportedScheme("g".to_owned())));
    assert_eq!(base.join("file:///etc/passwd"), Err(UrlError::UnsupportedScheme("file".to_owned())));
    for reference in ["http:g", "http:///", "//", "//h:0/", "/a\r\nX: y", "http://[::1"] {
        assert!(matches!(base.join(reference), Err(UrlError::Malformed(_))), "{reference:?}");
    }
    let secure = Url::parse("https://u:p@a/").unwrap();
    assert_eq!(secure.join("//g/").unwrap().to_string(), "https://g/");
    assert_eq!(secure.join("//g/").unwrap().credentials, None);
    assert_eq!(secure.join("/g").unwrap().credentials, secure.credentials);
}

#[test]
fn what_is_added_to_a_url() {
    let mut url = Url::parse("http://h/a").unwrap();
    url.push_query("b=1").unwrap();
    url.push_query("c=\u{fc}").unwrap();
    url.push_query("").unwrap();
    assert_eq!(url.target, "/a?b=1&c=%C3%BC");
    for query in ["a b", "a#b", "a\r\nX: y"] {
        assert!(url.push_query(query).is_err(), "{query:?}");
    }
    let mut url = Url::parse("http://h/up/?q").unwrap();
    url.push_segment("a b/\u{fc}.txt");
    assert_eq!(url.target, "/up/a%20b%2F%C3%BC.txt?q");
}

#[test]
fn a_file_s_name_is_the_last_segment() {
    for (text, name) in [
        ("http://h/a/b.txt?c/d", Some("b.txt")),
        ("http://h/a%2Fb", Some("a%2Fb")),
        ("http://h/.bashrc", Some(".bashrc")),
        ("http://h/", None),
        ("http://h/a/", None),
        ("http://h/a/..", None),
        ("http://h?/x", None),
    ] {
        assert_eq!(Url::parse(text).unwrap().file_name(), name, "{text}");
    }
}

#[test]
fn an_origin_is_scheme_host_and_port() {
    let url = |text: &str| Url::parse(text).unwrap();
    let same = |a: &str, b: &str| url(a).is_same_origin(&url(b));
    assert!(same("http://h/a", "HTTP://H:80/b?c"));
    assert!(!same("http://h/", "https://h/"));
    assert!(!same("http://h/", "http://h:81/"));
    assert!(!same("http://h/", "http://i/"));
}

#[test]
fn host_and_port() {
    let splits = |text: &str, host: &str, port| {
        assert_eq!(parse_host_port(text), Ok((host.to_owned(), port)), "{text}");
    };
    splits("example.org:443", "example.org", 443);
    splits("[::1]:80", "::1", 80);
    // `%25` is an escape in URLs alone; a zone may begin with it.
    splits("[fe80::251%251]:8080", "fe80::251%251", 8080);
    splits("[fe80::1%25]:80", "fe80::1%25", 80);
    splits("[fe80::1%25eth0]:80", "fe80::1%25eth0", 80);
    for text in
        ["example.org", "example.org:", "[::1]", "http://h:80", "h:80/", "h:0", "h :80", ":80", "a@h:80"]
    {
        assert!(matches!(parse_host_port(text), Err(UrlError::Malformed(_))), "{text}");
    }
    let advises = |text: &str, part: &str| {
        let error = parse_host_port(text).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    advises("[::1]", "give [::1]:80");
    advises("h:", "give h:80");
    advises(":80", "\":80\" has no host");
}

#[cfg(feature = "idna")]
#[test]
fn a_name_of_another_script_is_written_as_the_dns_has_it() {
    for (typed, host) in [
        ("http://bücher.example/", "xn--bcher-kva.example"),
        ("http://BÜCHER.Example", "xn--bcher-kva.example"),
        ("http://b%C3%BCcher.example/", "xn--bcher-kva.example"),
        // It is a letter of its own.
        ("http://fäß.test/", "xn--f-qfao.test"),
        // The same letter as two characters.
        ("http://bu\u{308}cher.example/", "xn--bcher-kva.example"),
        ("http://例え。テスト/", "xn--r8jz45g.xn--zckzah"),
        ("http://☃.test./", "xn--n3h.test."),
        ("http://１２７.0.0.1/", "127.0.0.1"),
    ] {
        assert_eq!(Url::parse(typed).unwrap().host, host, "{typed}");
    }
    assert_eq!(parse_host_port("bücher.example:80"), Ok(("xn--bcher-kva.example".to_owned(), 80)));
    let page = Url::parse("http://name.test/").unwrap();
    assert_eq!(page.join("//bücher.example/a").unwrap().to_string(), "http://xn--bcher-kva.example/a");
    refuses("http://-ä.test/", "in any script");
    refuses("http://xn--ä.test/", "in any script");
    refuses("http://a\u{ad}\u{200d}.test/", "in any script");
    refuses("http://ä／b.test/", "cannot contain '/'");
    refuses("http://ä＠b.test/", "cannot contain '@'");
    refuses("http://ä..test/", "nothing between two dots");
    refuses(&format!("http://{}.test/", "ä".repeat(64)), "63");
}
