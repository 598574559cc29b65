"""Tries each line of the table of docs/proxy.md: real programs go through `connie proxy` to real servers, by http
and by https. Checks whether the proxy was given a name or an address.

    unshare --net --mount python3 benches/peers/programs.py target/release/connie [PART OF A PROGRAM'S NAME]

It runs in a network namespace of its own, where www.lab.test has three addresses, two of which are dead. It needs root,
and Debian's packages apt-utils, chromium, default-jdk-headless, dnsmasq-base, firefox-esr, git, netcat-openbsd,
nginx-light, npm, openssh-client, openssh-server, openssl, rsync, wget; a program that is not there is left out.
"""

import hashlib
import io
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
import zipfile

HOST = "www.lab.test"
LIVE = "198.51.100.1"
DEAD = ["198.51.100.2", "198.51.100.3"]
PROXY = "127.0.0.1:1080"
HTTP = f"http://{PROXY}"
SOCKS = f"socks5h://{PROXY}"
STATUS = "127.0.0.1:1081"
# A program that takes longer has failed, in seconds.
LIMIT = 60

CONNIE = str(pathlib.Path(sys.argv[1]).resolve())
PART = sys.argv[2] if len(sys.argv) > 2 else ""
PLACE = pathlib.Path(tempfile.mkdtemp(prefix="connie-programs-"))
ROOT = PLACE / "www"
HOME = PLACE / "home"
CA = PLACE / "ca.pem"
CLEAN = {name: os.environ[name] for name in ["PATH", "LANG", "TERM"] if name in os.environ}
CLEAN.update(HOME=str(HOME), GIT_CONFIG_NOSYSTEM="1", GIT_TERMINAL_PROMPT="0", NPM_CONFIG_UPDATE_NOTIFIER="false")
started = []


def run(*words, **options):
    """Runs a command, which must succeed."""
    subprocess.run([str(word) for word in words], check=True, stdout=subprocess.DEVNULL, env=CLEAN, **options)


def start(*words):
    process = subprocess.Popen([str(word) for word in words], env=CLEAN, stdout=subprocess.PIPE, start_new_session=True)
    started.append(process)
    return process


def network():
    for command in [
        "link set lo up",
        f"address add {LIVE}/32 dev lo",
        # A device that nobody reads: packets to the other addresses vanish without an error.
        "tuntap add lab0 mode tun",
        "link set lab0 up",
        "route add 198.51.100.0/24 dev lab0 src 127.0.0.1",
    ]:
        run("ip", *command.split())
    resolv = PLACE / "resolv.conf"
    resolv.write_text("nameserver 127.0.0.1\n")
    run("mount", "--make-rprivate", "/")
    run("mount", "--bind", resolv, "/etc/resolv.conf")
    records = [f"--host-record={HOST},{address}" for address in [*DEAD, LIVE]]
    start("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-hosts", "--no-resolv", "--user=root",
          "--listen-address=127.0.0.1", "--bind-interfaces", "--local-ttl=0", "--pid-file=", *records)


def certificate():
    """Makes a self-signed certificate for the host."""
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={HOST}", "-addext",
        f"subjectAltName=DNS:{HOST}", "-keyout", PLACE / "key.pem", "-out", CA, stderr=subprocess.DEVNULL)
    if shutil.which("keytool"):
        run("keytool", "-importcert", "-noprompt", "-file", CA, "-keystore", PLACE / "trust.p12", "-storepass", "laboratory",
            stderr=subprocess.DEVNULL)


def web():
    (PLACE / "nginx.conf").write_text(f"""
        user root; pid {PLACE}/nginx.pid; error_log {PLACE}/error.log; daemon off;
        events {{}}
        http {{
            access_log off; client_body_temp_path {PLACE}/body; default_type application/octet-stream;
            types {{ text/html html; application/json json; }}
            server {{
                listen {LIVE}:80; listen {LIVE}:443 ssl;
                ssl_certificate {CA}; ssl_certificate_key {PLACE}/key.pem;
                root {ROOT}; autoindex on;
                location = /npm/lab-package {{ default_type application/json; try_files /npm/$scheme.json =404; }}
                location = /crates/config.json {{ default_type application/json; return 200 '{{"dl":"$scheme://{HOST}/dl"}}'; }}
            }}
        }}""")
    start("nginx", "-c", PLACE / "nginx.conf", "-e", PLACE / "error.log")


def pages():
    (ROOT / "npm").mkdir(parents=True)
    (ROOT / "index.html").write_text("<link rel=icon href=data:,><title>a</title>the page\n")
    repository()
    python_index()
    npm_registry()
    crates()
    debian()
    (HOME / ".cargo").mkdir(parents=True)


def repository():
    work = PLACE / "work"
    run("git", "init", "-q", "-b", "main", work)
    run("git", "-C", work, "-c", "user.name=a", "-c", "user.email=a@lab.test", "commit", "-q", "--allow-empty", "-m", "a")
    run("git", "clone", "-q", "--bare", work, ROOT / "a.git", stderr=subprocess.DEVNULL)
    # For git's dumb HTTP protocol, which needs no program at the server.
    run("git", "-C", ROOT / "a.git", "update-server-info")


def python_index():
    place = ROOT / "simple/lab-package"
    place.mkdir(parents=True)
    with zipfile.ZipFile(place / "lab_package-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("lab_package.py", "")
        wheel.writestr("lab_package-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: lab-package\nVersion: 1.0\n")
        wheel.writestr("lab_package-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: a\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("lab_package-1.0.dist-info/RECORD", "")
    (place / "index.html").write_text('<a href="lab_package-1.0-py3-none-any.whl">lab_package-1.0-py3-none-any.whl</a>')


def archive(path, files):
    """Writes a tar archive, and returns its SHA-256."""
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def npm_registry():
    archive(ROOT / "npm/a.tgz", {"package/package.json": '{"name":"lab-package","version":"1.0.0"}'})
    for scheme in ["http", "https"]:
        version = {"name": "lab-package", "version": "1.0.0", "dist": {"tarball": f"{scheme}://{HOST}/npm/a.tgz"}}
        packument = {"name": "lab-package", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}
        (ROOT / f"npm/{scheme}.json").write_text(json.dumps(packument))


def crates():
    """Makes a sparse index with one crate."""
    (ROOT / "dl/lab-crate/1.0.0").mkdir(parents=True)
    (ROOT / "crates/la/b-").mkdir(parents=True)
    manifest = '[package]\nname = "lab-crate"\nversion = "1.0.0"\nedition = "2021"\n'
    files = {"lab-crate-1.0.0/Cargo.toml": manifest, "lab-crate-1.0.0/src/lib.rs": ""}
    checksum = archive(ROOT / "dl/lab-crate/1.0.0/download", files)
    entry = {"name": "lab-crate", "vers": "1.0.0", "deps": [], "cksum": checksum, "features": {}, "yanked": False}
    (ROOT / "crates/la/b-/lab-crate").write_text(json.dumps(entry) + "\n")


def debian():
    (ROOT / "deb").mkdir()
    (ROOT / "deb/Packages").write_text("Package: lab-package\nVersion: 1.0\nArchitecture: all\nMaintainer: a\n"
                                       f"Filename: ./a.deb\nSize: 1\nSHA256: {'0' * 64}\nDescription: a\n")


def shell():
    key, hosts = PLACE / "key", PLACE / "known_hosts"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", PLACE / "host_key")
    hosts.write_text(f"{HOST} {(PLACE / 'host_key.pub').read_text()}")
    (PLACE / "sshd_config").write_text(f"ListenAddress {LIVE}\nHostKey {PLACE}/host_key\nAuthorizedKeysFile {PLACE}/key.pub\n"
                                       "StrictModes no\nPermitRootLogin yes\nPidFile none\nUsePAM no\n")
    pathlib.Path("/run/sshd").mkdir(exist_ok=True)
    start("/usr/sbin/sshd", "-D", "-q", "-f", PLACE / "sshd_config")


def rsync_server():
    (PLACE / "rsyncd.conf").write_text(f"address = {LIVE}\nuse chroot = no\nlog file = /dev/null\n[www]\npath = {ROOT}\nuid = root\ngid = root\n")
    start("rsync", "--daemon", "--no-detach", f"--config={PLACE}/rsyncd.conf")


def programs():
    """Yields (name, its setting, the program needed, the command for a URL of either scheme, what its output must contain)."""
    page = "{scheme}://" + HOST + "/"
    environment = f"http_proxy={HTTP} https_proxy={HTTP}"
    yield "curl", f"-x {HTTP}", "curl", f"curl -sSq --cacert {CA} -x {HTTP} {page}", "the page"
    yield "curl", f"-x {SOCKS}", "curl", f"curl -sSq --cacert {CA} -x {SOCKS} {page}", "the page"
    yield "curl", f"-x socks5://{PROXY}", "curl", f"curl -sSq --cacert {CA} -x socks5://{PROXY} {page}", "the page"
    yield "curl", "http_proxy, https_proxy", "curl", f"{environment} curl -sSq --cacert {CA} {page}", "the page"
    yield "curl", f"all_proxy={SOCKS}", "curl", f"all_proxy={SOCKS} curl -sSq --cacert {CA} {page}", "the page"
    yield "wget", "http_proxy, https_proxy", "wget", f"{environment} wget -nv -O- --ca-certificate={CA} {page}", "the page"
    git = f"git -c http.sslCAInfo={CA} -c http.proxy={{by}} clone -v {page}a.git $(mktemp -d)/a && echo done"
    yield "git", f"http.proxy {HTTP}", "git", git.replace("{by}", HTTP), "done"
    yield "git", f"http.proxy {SOCKS}", "git", git.replace("{by}", SOCKS), "done"
    ssh = (f"ssh -F none -i {PLACE}/key -o UserKnownHostsFile={PLACE}/known_hosts -o BatchMode=yes -o 'ProxyCommand={{by}}' "
           f"root@{HOST} echo done")
    yield "ssh", "nc -X 5", "nc", ssh.replace("{by}", f"nc -X 5 -x {PROXY} %h %p"), "done"
    yield "ssh", "nc -X connect", "nc", ssh.replace("{by}", f"nc -X connect -x {PROXY} %h %p"), "done"
    chromium = ("p=$(mktemp -d); timeout 30 chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
                "--disable-background-networking --disable-component-update --disable-sync --ignore-certificate-errors "
                f"--user-data-dir=$p --proxy-server={{by}} --dump-dom {page}")
    yield "chromium", f"--proxy-server={HTTP}", "chromium", chromium.replace("{by}", HTTP), "the page"
    yield "chromium", f"--proxy-server=socks5://{PROXY}", "chromium", chromium.replace("{by}", f"socks5://{PROXY}"), "the page"
    yield from firefox()
    apt = (f"mkdir -p {PLACE}/apt/lists/partial {PLACE}/apt/archives/partial && rm -f {PLACE}/apt/lists/*lab* && "
           f"echo 'deb [trusted=yes] {page}deb ./' > {PLACE}/apt/sources.list && apt-get -o Dir::Etc::sourcelist={PLACE}/apt/sources.list "
           f"-o Dir::Etc::sourceparts=- -o Dir::State::lists={PLACE}/apt/lists -o Dir::Cache={PLACE}/apt -o APT::Sandbox::User=root "
           f"-o Acquire::https::CaInfo={CA} {{by}} -o Acquire::Retries=0 update && ls {PLACE}/apt/lists")
    both = f"-o Acquire::http::Proxy={{by}} -o Acquire::https::Proxy={{by}}"
    yield "apt", f"Acquire::http::Proxy {HTTP}", "apt-get", apt.replace("{by}", both.replace("{by}", HTTP)), "_Packages"
    yield "apt", f"Acquire::http::Proxy {SOCKS}", "apt-get", apt.replace("{by}", both.replace("{by}", SOCKS)), "_Packages"
    pip = (f"python3 -m pip download -q --no-cache-dir --disable-pip-version-check --cert {CA} --trusted-host {HOST} "
           f"--index-url {page}simple/ -d $(mktemp -d) lab-package && echo done")
    yield "pip", "http_proxy, https_proxy", "python3", f"{environment} {pip}", "done"
    yield "pip", f"--proxy {HTTP}", "python3", pip.replace("download", f"--proxy {HTTP} download"), "done"
    urllib = (f"SSL_CERT_FILE={CA} python3 -c 'import sys,urllib.request;print(urllib.request.urlopen(sys.argv[1]).read())' {page}")
    yield "urllib", "http_proxy, https_proxy", "python3", f"{environment} {urllib}", "the page"
    requests = f"REQUESTS_CA_BUNDLE={CA} python3 -c 'import sys,requests;print(requests.get(sys.argv[1]).text)' {page}"
    if subprocess.run(["python3", "-c", "import requests, socks"], env=CLEAN, stderr=subprocess.DEVNULL).returncode == 0:
        yield "requests", "http_proxy, https_proxy", "python3", f"{environment} {requests}", "the page"
        yield "requests", f"all_proxy={SOCKS}", "python3", f"all_proxy={SOCKS} {requests}", "the page"
        yield "requests", f"all_proxy=socks5://{PROXY}", "python3", f"all_proxy=socks5://{PROXY} {requests}", "the page"
    npm = (f"cd $(mktemp -d) && npm --cache $PWD/cache --cafile {CA} --registry {page}npm/ --proxy {HTTP} --https-proxy {HTTP} "
           "--no-audit --no-fund install lab-package && echo done")
    yield "npm", f"proxy, https-proxy {HTTP}", "npm", npm, "done"
    cargo = ("d=$(mktemp -d); cd $d && mkdir src .cargo && touch src/lib.rs && printf '[package]\\nname=\"a\"\\nversion=\"1.0.0\"\\n"
             "edition=\"2021\"\\n[dependencies]\\nlab-crate = { version = \"1\", registry = \"lab\" }\\n' > Cargo.toml && printf "
             f"'[registries.lab]\\nindex = \"sparse+{page}crates/\"\\n[http]\\nproxy = \"{{by}}\"\\ncainfo = \"{CA}\"\\n' > .cargo/config.toml && "
             f"RUSTUP_HOME={os.path.expanduser('~/.rustup')} CARGO_HOME=$d/home cargo fetch && ls $d/home/registry/src/*")
    yield "cargo", f'proxy = "{HTTP}"', "cargo", cargo.replace("{by}", HTTP), "lab-crate-1.0.0"
    yield "cargo", f'proxy = "{SOCKS}"', "cargo", cargo.replace("{by}", SOCKS), "lab-crate-1.0.0"
    yield from java()
    yield "connie", f"-x {SOCKS}", CONNIE, f"{CONNIE} get -s --cacert {CA} -x {SOCKS} {page}", "the page"
    yield "rsync", f"RSYNC_PROXY={PROXY}", "rsync", f"RSYNC_PROXY={PROXY} rsync rsync://{HOST}/www/", "index.html"


def firefox():
    preferences = {
        "SOCKS v5": {"socks": '"127.0.0.1"', "socks_port": 1080, "socks_version": 5},
        "SOCKS v5, proxy DNS": {"socks": '"127.0.0.1"', "socks_port": 1080, "socks_version": 5, "socks_remote_dns": "true",
                                "socks5_remote_dns": "true"},
        "HTTP Proxy, also for HTTPS": {"http": '"127.0.0.1"', "http_port": 1080, "ssl": '"127.0.0.1"', "ssl_port": 1080},
    }
    for told, values in preferences.items():
        profile = PLACE / f"firefox-{told.replace(' ', '-').replace(',', '')}"
        profile.mkdir()
        lines = [f'user_pref("network.proxy.{name}", {value});' for name, value in {"type": 1, **values}.items()]
        lines.append('user_pref("browser.shell.checkDefaultBrowser", false);')
        lines.append('user_pref("datareporting.policy.dataSubmissionEnabled", false);')
        (profile / "user.js").write_text("\n".join(lines) + "\n")
        # A screenshot of an error page would do, too: `handed` shows whether the proxy was used.
        shot = profile / "shot.png"
        yield ("firefox", told, "firefox-esr",
               f"timeout 50 firefox-esr --headless --profile {profile} --screenshot {shot} http://{HOST}/?{profile.name} 2>&1; "
               f"ls {shot}", "shot.png")


def java():
    source = PLACE / "Fetch.java"
    source.write_text("""import java.net.*; import java.net.http.*;
        class Fetch { public static void main(String[] a) throws Exception {
            if (a[0].equals("url")) System.out.println(new String(new URL(a[1]).openStream().readAllBytes()));
            else System.out.println(HttpClient.newHttpClient().send(HttpRequest.newBuilder(URI.create(a[1])).build(),
                HttpResponse.BodyHandlers.ofString()).body());
        } }""")
    trust = f"-Djavax.net.ssl.trustStore={PLACE}/trust.p12 -Djavax.net.ssl.trustStorePassword=laboratory"
    http = " ".join(f"-D{scheme}.proxyHost=127.0.0.1 -D{scheme}.proxyPort=1080" for scheme in ["http", "https"])
    socks = "-DsocksProxyHost=127.0.0.1 -DsocksProxyPort=1080"
    for name, by in [("http.proxyHost, https.proxyHost", http), ("socksProxyHost", socks)]:
        for client in ["url", "http"]:
            told = f"{name} ({'URL.openStream' if client == 'url' else 'HttpClient'})"
            yield "java", told, "javac", f"java {trust} {by} {source} {client} {{scheme}}://{HOST}/", "the page"


def races():
    # Not through a proxy that the environment may name.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return json.load(opener.open(f"http://{STATUS}/status.json"))["races"]


def handed():
    """Whether the proxy was asked for the name or an address, and how often."""
    hosts = [race["race"]["host"] for race in races()]
    hosts = [host for host in hosts if host in {HOST, LIVE, *DEAD}]
    count, hosts = len(hosts), sorted(set(hosts))
    if len(hosts) > 1:
        return "both", count
    return "nothing" if not hosts else "the name" if hosts == [HOST] else "an address", count


def wanted(told):
    """What docs/proxy.md says that the proxy is given."""
    if "socks5://" in told and "proxy-server" not in told:
        return "an address"
    return {"socksProxyHost (URL.openStream)": "an address", "socksProxyHost (HttpClient)": "nothing"}.get(told, "the name")


def attempt(command):
    """Runs a command; returns its output, what the proxy was asked for, how often, and how many seconds it took."""
    proxy = start(CONNIE, "proxy", "--listen", PROXY, "--allow-private", "--status", STATUS, "--stop-timeout", "0")
    proxy.stdout.readline()
    proxy.stdout.readline()
    begun = time.monotonic()
    child = subprocess.Popen(["bash", "-c", command], env=CLEAN, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, start_new_session=True)
    try:
        said = child.communicate(timeout=LIMIT)[0].decode(errors="replace")
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        said = "took too long"
    took = time.monotonic() - begun
    asked, count = handed()
    proxy.terminate()
    proxy.wait()
    started.remove(proxy)
    return said, asked, count, took


def main():
    network()
    certificate()
    pages()
    web()
    shell()
    if shutil.which("rsync"):
        rsync_server()
    time.sleep(0.5)
    failed = 0
    for name, told, needs, command, expected in programs():
        if PART not in name:
            continue
        if not shutil.which(needs):
            print(f"{name}: {needs} is not here")
            continue
        for scheme in ["http", "https"] if "{scheme}" in command else [""]:
            said, asked, count, took = attempt(command.replace("{scheme}", scheme))
            is_well = expected in said and asked == wanted(told)
            failed += not is_well
            print(f"{'ok  ' if is_well else 'FAIL'} {name:9} {told:44} {scheme:5}  handed over {asked:10} {count} times {took:5.1f} s", flush=True)
            if not is_well:
                print("     " + said.strip()[-1500:].replace("\n", "\n     "))
    print(f"{failed} failed")


try:
    main()
finally:
    for process in started:
        os.killpg(process.pid, signal.SIGTERM)
    shutil.rmtree(PLACE, ignore_errors=True)
