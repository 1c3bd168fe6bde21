"""Who gets checkpoints, on this machine: a mail server over TLS, and a time-stamping authority made of OpenSSL."""

from __future__ import annotations

import base64
import email
import http.server
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import default
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY = """
[tsa]
default_tsa = ours
[ours]
serial = {folder}/serial
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Certificates:
    """A root of its own, a server's certificate for 127.0.0.1, and one that may stamp; all in a folder as PEM files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._root = self._sign("root", self._key.public_key(), [(x509.BasicConstraints(True, None), True)])
        self.root = folder / "root.pem"
        self.root.write_bytes(self._root.public_bytes(Encoding.PEM))
        address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
        self.server = self._make("server", [(address, False)])
        self.stamping = self._make("stamping", [(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), True)])

    def _sign(self, name: str, key: Any, extensions: list[tuple[Any, bool]]) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(name)).issuer_name(_name("root")).public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=30))
        )  # fmt: skip
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        identifier = x509.SubjectKeyIdentifier.from_public_key(key)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return builder.add_extension(identifier, False).add_extension(issuer, False).sign(self._key, hashes.SHA256())

    def _make(self, name: str, extensions: list[tuple[Any, bool]]) -> Path:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(name, key.public_key(), extensions)
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path = self.folder / f"{name}.pem"
        path.write_bytes(secret + certificate.public_bytes(Encoding.PEM))
        return path


@dataclass
class MailServer:
    """A mail server that keeps what it takes.

    Args:
        certificate: PEM file with its key.
        password: what `ems` must prove to know; None to ask nobody.
        tls: whether it speaks TLS from the first byte.
    """

    certificate: Path
    password: str | None = None
    tls: bool = True
    refuses: bool = False
    letters: list[EmailMessage] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    port: int = 0

    @contextmanager
    def serving(self) -> Iterator[MailServer]:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate)
        server = _Mail(("127.0.0.1", 0), _Talk)
        server.post, server.context = self, context
        self.port = server.server_address[1]
        yield from _served(server, self)


class _Mail(socketserver.ThreadingTCPServer):
    daemon_threads = True
    post: MailServer
    context: ssl.SSLContext


class _Talk(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, _Mail)
        self.post = self.server.post
        try:
            if self.post.tls:
                self._secure()
            self._converse()
        except (ssl.SSLError, OSError):
            pass
        finally:
            for one in (self.rfile, self.wfile, self.connection):
                with suppress(OSError):
                    one.close()

    def finish(self) -> None:
        """It is closed already."""

    def _secure(self) -> None:
        self.rfile.close()
        self.wfile.close()
        self.connection = self.server.context.wrap_socket(self.connection, server_side=True)  # type: ignore[attr-defined]
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())

    def _converse(self) -> None:
        self._say("220 post")
        while line := self.rfile.readline().decode().rstrip("\r\n"):
            word = line.split()[0].upper()
            self.post.words.append(word)
            match word:
                case "EHLO":
                    plain = "STARTTLS" if not isinstance(self.connection, ssl.SSLSocket) else "AUTH PLAIN"
                    self._say(f"250-post\r\n250 {plain}")
                case "STARTTLS":
                    self._say("220 go on")
                    self._secure()
                case "AUTH":
                    told = base64.b64decode(line.split()[2]).decode().split("\0")[2]
                    self._say("235 yes" if told == self.post.password else "535 who are you")
                case "DATA":
                    self._take()
                case "QUIT":
                    self._say("221 bye")
                    return
                case _:
                    self._say("250 ok")

    def _take(self) -> None:
        self._say("354 go on")
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            lines.append(line[1:] if line.startswith(b"..") else line)
        if self.post.refuses:
            self._say("451 not now")
            return
        self.post.letters.append(email.message_from_bytes(b"".join(lines), policy=default))  # type: ignore[arg-type]
        self._say("250 taken")


@dataclass
class Authority:
    """A time-stamping authority by HTTP, made of `openssl ts`.

    Args:
        certificates: whose stamping certificate it uses.
    """

    certificates: Certificates
    broken: bool = False
    answers: bytes | None = None
    asked: int = 0
    url: str = ""

    @contextmanager
    def serving(self) -> Iterator[Authority]:
        (self.certificates.folder / "serial").write_text("01\n")
        (self.certificates.folder / "tsa.cnf").write_text(AUTHORITY.format(folder=self.certificates.folder))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Counter)
        server.authority = self  # type: ignore[attr-defined]
        self.url = f"http://127.0.0.1:{server.server_address[1]}/stamp"
        yield from _served(server, self)

    def answer(self, query: bytes) -> bytes:
        if self.answers is not None:
            return self.answers
        folder = self.certificates.folder
        (folder / "query.tsq").write_bytes(query)
        order = ["openssl", "ts", "-reply", "-config", str(folder / "tsa.cnf"), "-section", "ours"]
        order += ["-queryfile", str(folder / "query.tsq"), "-out", str(folder / "answer.tsr")]
        order += ["-signer", str(self.certificates.stamping), "-inkey", str(self.certificates.stamping)]
        subprocess.run(order, check=True, capture_output=True, timeout=60)
        return (folder / "answer.tsr").read_bytes()


class _Counter(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        authority: Authority = self.server.authority  # type: ignore[attr-defined]
        authority.asked += 1
        query = self.rfile.read(int(self.headers["content-length"]))
        answer = b"" if authority.broken else authority.answer(query)
        self.send_response(503 if authority.broken else 200)
        self.send_header("content-type", "application/timestamp-reply")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        # Who is told too much hangs up.
        with suppress(ConnectionError):
            self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Nothing."""


def _served(server: socketserver.BaseServer, whom: Any) -> Iterator[Any]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield whom
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
