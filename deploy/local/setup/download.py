"""Downloads files by their digest: uses the system's certificates and proxies, resumes interrupted downloads."""

from __future__ import annotations

import errno
import hashlib
import os
import socket
import ssl
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import httpx2
import truststore

from deploy.local.errors import StackError
from deploy.local.setup.install import read_pip_settings

TRIES = 4
"""Attempts in a row without new bytes; a connection that is cut each time still completes in the end."""
WAIT_S = 0.5
BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_PASSING = {408, 425, 429, 500, 502, 503, 504}


class Refusal(Exception):
    """The server answered, but not with the file."""


def connect() -> httpx2.Client:
    """Return a client with the system's certificates and pip's settings, so that it works where pip does.

    Trusted: the system's certificates (SSL_CERT_FILE and SSL_CERT_DIR replace them), and those in REQUESTS_CA_BUNDLE,
    CURL_CA_BUNDLE and pip's `cert`. Proxy: pip's `proxy`, else that of the environment. Raises StackError.
    """
    pip = read_pip_settings()
    trusted = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    bundles = {name: os.environ.get(name) for name in BUNDLES} | {"pip's setting cert": pip.get("cert")}
    for name, bundle in bundles.items():
        if not bundle:
            continue
        try:
            trusted.load_verify_locations(**{"capath" if Path(bundle).is_dir() else "cafile": bundle})
        except OSError as error:  # ssl.SSLError too
            raise StackError(f"{name} is {bundle}, which has no certificates: {error.strerror or error}") from None
    timeout = httpx2.Timeout(30, connect=15)
    return httpx2.Client(verify=trusted, proxy=pip.get("proxy"), timeout=timeout, follow_redirects=True)


def fetch(client: httpx2.Client, url: str, file: Path, sha256: str) -> None:
    """Download `url` to `file`, which appears complete and with that digest or not at all.

    A partial download is kept beside it as `.part`, also for the next run, and only the rest is fetched. Raises
    StackError with the cause and what to do about it.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.part")
    tries = differs = 0
    while True:
        had = _size(part)
        try:
            _receive(client, url, part)
            with part.open("rb") as content:
                if hashlib.file_digest(content, "sha256").hexdigest() == sha256:
                    part.replace(file)
                    return
            part.unlink()
            differs += 1
            if differs == 2:  # the first time may be due to an earlier run's part
                raise StackError(f"{url} differs from the locked content; does a proxy change downloads?")
        except (httpx2.HTTPError, OSError, Refusal) as error:
            tries = 0 if _size(part) > had else tries + 1
            if tries == TRIES or not _passing(error):
                raise StackError(explain(error, url, file)) from error
            time.sleep(WAIT_S * 2**tries)


def _receive(client: httpx2.Client, url: str, part: Path) -> None:
    """Append the missing bytes of `url` to `part`."""
    had = _size(part)
    asked = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={had}-"} if had else {})
    with client.stream("GET", url, headers=asked) as answer:
        if answer.status_code == 416:  # the part is complete: its digest shows whether it is the file
            return
        if answer.status_code not in (200, 206):
            raise Refusal(answer.status_code)
        resumed = answer.status_code == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {had}-")
        if answer.status_code == 206 and not resumed:
            part.unlink()
            raise Refusal(answer.status_code)
        with part.open("ab" if resumed else "wb") as to:
            for chunk in answer.iter_raw():  # unbuffered: with a chunk size an interruption loses the last one
                to.write(chunk)


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _passing(error: Exception) -> bool:
    if isinstance(error, Refusal):
        return error.args[0] in (206, *_PASSING)
    cut = (httpx2.ReadError, httpx2.RemoteProtocolError, httpx2.TimeoutException)
    return isinstance(error, cut) and not any(isinstance(cause, ssl.SSLError) for cause in _causes(error))


def explain(error: Exception, url: str, file: Path) -> str:
    """Return a sentence with the cause of a failed download of `url`, and what to do."""
    address = httpx2.URL(url)
    host, proxy = address.host, _proxy_for(address)
    via = f" through the proxy {proxy}" if proxy else ""
    causes = list(_causes(error))
    for cause in causes:
        match cause:
            case Refusal(args=(status,)):
                return f"{host} answered {status} for {address.path}{via}; if it needs a proxy or a mirror, set it"
            case ssl.SSLCertVerificationError():
                return (
                    f"the certificate of {host} is not trusted{via} ({cause.verify_message}); where a company's proxy "
                    "signs, add its authority to the system's certificates, or name its file in REQUESTS_CA_BUNDLE"
                )
            case OSError(errno=errno.ENOSPC | errno.EDQUOT):
                return f"the disk of {file.parent} is full; free space, or set HALFDAY_CACHE to a folder elsewhere"
            case socket.gaierror():
                name = httpx2.URL(proxy).host if proxy else host
                return f"no network, or no name service: {name} is not found{via}; set a proxy with HTTPS_PROXY"
            case ConnectionRefusedError():
                return f"the connection to {host}{via} was refused; is the proxy right (HTTPS_PROXY, NO_PROXY)?"
            case OSError(errno=errno.ENETUNREACH | errno.EHOSTUNREACH):
                return f"no network: {host} can't be reached{via}"
            case PermissionError():
                return f"{cause.filename} can't be written by you; set HALFDAY_CACHE to your own folder"
    match error:
        case httpx2.ProxyError():
            return (
                f"the proxy{f' {proxy}' if proxy else ''} refused to connect to {host}: {error}; is HTTPS_PROXY right?"
            )
        case httpx2.TimeoutException():
            return f"{host} did not answer in time{via}, {TRIES} times; is the network slow, or does it need a proxy?"
        case httpx2.ReadError() | httpx2.RemoteProtocolError():
            return f"the connection to {host}{via} was interrupted {TRIES} times; run it again to continue"
    return f"{host}{via}: {str(error) or type(error).__name__}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error:
        yield error
        error = error.__cause__ or error.__context__


def _proxy_for(url: httpx2.URL) -> str | None:
    """Return the proxy for `url`, without its password."""
    found = read_pip_settings().get("proxy")
    if not found and not urllib.request.proxy_bypass(url.host):
        proxies = urllib.request.getproxies()
        found = proxies.get(url.scheme) or proxies.get("all")
    if not found:
        return None
    proxy = httpx2.URL(found)
    return f"{proxy.scheme}://{proxy.host}" + (f":{proxy.port}" if proxy.port else "")
