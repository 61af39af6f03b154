"""Installs the locked packages into the environment of the Python that runs this file.

Usage: `python -I deploy/local/setup/install.py requirements.txt`. The launcher calls it before any package is
installed, so it imports the standard library only. uv installs; pip does if uv is not available or fails. Both check
every hash and build nothing.
"""

import ast
import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[3]
UV_LIST = "requirements-uv.txt"
# Megabytes that the first call fetches, uv included, and that it needs on disk; measured by tests/bench/install.py on
# Linux x86-64.
MEGABYTES = {"requirements.txt": (220, 750), "requirements-dev.txt": (330, 1100)}
CHECKED = ("--require-hashes", "--only-binary", ":all:")
# Settings of pip and uv's variables for them.
UV_VARIABLES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "trusted-host": "UV_INSECURE_HOST",
    "client-cert": "SSL_CLIENT_CERT",
    "timeout": "UV_HTTP_TIMEOUT",
    "retries": "UV_HTTP_RETRIES",
}
SECTIONS = ("global", "install", ":env:")


def main(name: str) -> int:
    """Install the list `name` of the checkout and mark it as installed; return an exit code."""
    folder = Path(sys.prefix)
    fetched, needed = MEGABYTES.get(name, MEGABYTES["requirements.txt"])
    _say(f"Installing the packages of {name} into {folder}, once.")
    _say(f"About {fetched} MB are fetched and kept in uv's cache; {needed} MB on disk in all.")
    if not (_with_uv(name, uv_environment(read_pip_settings(), os.environ)) or _with_pip(name)):
        _say("The packages could not be installed; the reason is above.")
        _say("Check pip's settings (pip config list), its index and the proxy variables: they are used here.")
        return 1
    (folder / f"{name}.stamp").write_text(hashlib.sha256((ROOT / name).read_bytes()).hexdigest())
    return 0


def read_pip_settings() -> dict[str, str]:
    """Return pip's settings on this machine, by name; empty without pip."""
    return pip_settings(_run("-m", "pip", "config", "list", capture=True).stdout)


def pip_settings(listed: str) -> dict[str, str]:
    """Return the output of `pip config list` by name; the environment overrides [install], which overrides [global]."""
    found: dict[str, dict[str, str]] = {section: {} for section in SECTIONS}
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        section, _, name = key.partition(".")
        if section in found:
            found[section][name.removeprefix("default-")] = str(ast.literal_eval(value))
    return {name: value for section in SECTIONS for name, value in found[section].items()}


def uv_environment(pip: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment with which uv uses pip's indexes, certificates and proxy; uv's own variables override."""
    found = {UV_VARIABLES[name]: " ".join(value.split()) for name, value in pip.items() if name in UV_VARIABLES}
    if pip.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        found["UV_NO_INDEX"] = "1"
    # uv fails if a folder is missing; pip ignores it.
    places = [
        place for place in pip.get("find-links", "").split() if "://" in place or Path(place).expanduser().exists()
    ]
    if places:
        found["UV_FIND_LINKS"] = ",".join(
            place if "://" in place else str(Path(place).expanduser().absolute()) for place in places
        )
    # Like pip, use the best version of all indexes, not of the first one; the hashes decide what is accepted.
    found |= {"UV_INDEX_STRATEGY": "unsafe-best-match", "UV_SYSTEM_CERTS": "true"}
    forced = {}
    names = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    if certificates := pip.get("cert") or next(filter(None, map(environment.get, names)), None):
        forced["SSL_CERT_DIR" if Path(certificates).is_dir() else "SSL_CERT_FILE"] = certificates
    if proxy := pip.get("proxy"):
        forced |= dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), proxy)
    return {**found, **environment, **forced}


def _with_uv(name: str, environment: Mapping[str, str]) -> bool:
    uv = Path(sys.prefix, "bin", "uv")
    pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", *CHECKED)
    if _run(*pip, "-r", str(ROOT / UV_LIST)).returncode or not uv.exists():
        _say("uv can't be installed here, so pip installs the packages.")
        return False
    command = [str(uv), "pip", "install", "--python", sys.executable, *CHECKED, "-r", str(ROOT / name)]
    if environment.get("PYTHONDONTWRITEBYTECODE"):
        command.append("--compile-bytecode")  # else Python does it at the first import, for a fifth of the files
    try:
        if subprocess.run(command, env=environment, cwd=ROOT, check=False).returncode == 0:
            return True
    except OSError as error:  # a program that this machine can't run
        _say(f"{uv}: {error.strerror}")
    _say("uv could not install the packages, so pip tries.")
    return False


def _with_pip(name: str) -> bool:
    _say("That takes a minute or two without further output.")
    pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", *CHECKED)
    return _run(*pip, "-r", str(ROOT / name)).returncode == 0


def _run(*arguments: str, capture: bool = False) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=capture, text=True, check=False)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
