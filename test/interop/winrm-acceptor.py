"""A WinRM-like server whose security is not ours: python3-gssapi over gss-ntlmssp or MIT Kerberos.

Usage: NTLM_USER_FILE=file winrm-acceptor.py     (the file holds lines DOMAIN:user:password)
       KRB5_KTNAME=keytab winrm-acceptor.py      (accepts SPNEGO and bare Kerberos)

    TLS_FILE=file        a PEM file of key and certificate: https, no sealing; the log-on must name this certificate
    SCHEMES=Kerberos     what a 401 offers; default Negotiate
    PORT=n               where to listen; default anywhere
    FORGET_AFTER=n       forgets the log-on of a connection after n messages
    HARM=flip|repeat     spoils the answers after the first: a bit changed, or the first one again

It prints its port, then answers every sealed envelope with a sealed one that tells who sent it, how long it was and how
many came on its connection. Content types and framing follow MS-WSMV 2.2.9.1.
"""

import base64
import hashlib
import os
import re
import ssl
import struct
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import gssapi

KINDS = {
    "Negotiate": "application/HTTP-SPNEGO-session-encrypted",
    "Kerberos": "application/HTTP-Kerberos-session-encrypted",
}
BOUNDARY = b"--Encrypted Boundary"
NTLM = gssapi.OID.from_int_seq("1.3.6.1.4.1.311.2.2.10")
SPNEGO = gssapi.OID.from_int_seq("1.3.6.1.5.5.2")
MECHANISMS = [NTLM, SPNEGO] if "NTLM_USER_FILE" in os.environ else None
TLS_FILE = os.environ.get("TLS_FILE")
SCHEMES = os.environ.get("SCHEMES", "Negotiate").split(",")
FORGET_AFTER = int(os.environ.get("FORGET_AFTER", "1000000"))
HARM = os.environ.get("HARM")
ANSWER = """<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" \
xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"><s:Header><a:RelatesTo>{id}</a:RelatesTo></s:Header><s:Body>\
<p:Msvm_Echo xmlns:p="http://schemas.microsoft.com/wbem/wsman/1/wmi/root/virtualization/v2/Msvm_Echo">\
<p:User>{user}</p:User><p:Heard>{heard}</p:Heard><p:Sealed>{sealed}</p:Sealed><p:Padding>{padding}</p:Padding>\
</p:Msvm_Echo></s:Body></s:Envelope>"""


def server_end_point():
    """RFC 5929: the hash of the certificate, which the tests sign with SHA-256."""
    pem = open(TLS_FILE).read()
    certificate = pem[pem.index("-----BEGIN CERTIFICATE") :]
    return b"tls-server-end-point:" + hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate)).digest()


def split(wrapped, length):
    """Header and data as SSPI lays them out: RFC 4121 rotated by what follows the message; NTLM needs nothing."""
    if wrapped[:2] != b"\x05\x04":
        return wrapped[:16], wrapped[16:]
    rotation = len(wrapped) - 32 - length
    body = wrapped[-rotation:] + wrapped[16:-rotation]
    header = wrapped[:6] + struct.pack(">H", rotation) + wrapped[8:16]
    return header + body[: rotation + 16], body[rotation + 16 :]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    context = None
    scheme = "Negotiate"
    sealed = 0
    first = None

    def log_message(self, *arguments):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        token = None
        if "Authorization" in self.headers:
            self.scheme, text = self.headers["Authorization"].split(" ", 1)
            if self.scheme in SCHEMES:
                token = self.step(base64.b64decode(text))
        if not self.logged_on() or self.sealed >= FORGET_AFTER:
            if not token:
                self.context = None
            return self.reply(401, b"", "text/plain", token)
        if not body:
            return self.reply(200, b"", "text/plain", token)
        plain = self.open(body)
        answer = self.answer(plain).encode()
        if TLS_FILE:
            return self.reply(200, answer, "application/soap+xml;charset=UTF-8", token)
        kind = KINDS[self.scheme].encode()
        header, data = split(self.context.wrap(answer, True).message, len(answer))
        frame = (
            BOUNDARY + b"\r\n\tContent-Type: " + kind
            + b"\r\n\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length=%d\r\n" % len(answer)
            + BOUNDARY + b"\r\n\tContent-Type: application/octet-stream\r\n"
            + struct.pack("<I", len(header)) + header + data + BOUNDARY + b"--\r\n"
        )
        self.first = self.first or frame
        if HARM and self.sealed > 1:
            spoilt = frame[:-30] + bytes([frame[-30] ^ 1]) + frame[-29:]
            frame = self.first if HARM == "repeat" else spoilt
        self.reply(200, frame, f'multipart/encrypted;protocol="{kind.decode()}";boundary="Encrypted Boundary"', token)

    def logged_on(self):
        try:
            return self.context is not None and self.context.complete
        except gssapi.exceptions.GSSError:  # of the last step, whose token for the client is sent all the same
            self.context = None
            return False

    def step(self, token):
        if self.context is None:
            credentials = gssapi.Credentials(usage="accept", mechs=MECHANISMS)
            bindings = gssapi.raw.ChannelBindings(application_data=server_end_point()) if TLS_FILE else None
            self.context = gssapi.SecurityContext(creds=credentials, usage="accept", channel_bindings=bindings)
        try:
            return self.context.step(token)
        except gssapi.exceptions.GSSError as error:
            self.context = None
            return error.token

    def open(self, body):
        self.sealed += 1
        if TLS_FILE:
            return body.decode()
        assert self.headers["Content-Type"].startswith(f'multipart/encrypted;protocol="{KINDS[self.scheme]}"')
        length = int(re.search(rb"Length=(\d+)\r\n", body).group(1))
        start = body.index(b"application/octet-stream\r\n") + len(b"application/octet-stream\r\n")
        signature = struct.unpack_from("<I", body, start)[0]
        sealed = body[start + 4 : start + 4 + signature + length]
        assert body[start + 4 + signature + length :] == BOUNDARY + b"--\r\n"
        if sealed[:2] == b"\x05\x04":  # Kerberos: all but the message is in front, as Windows wants it
            assert signature == 16 + struct.unpack_from(">H", sealed, 6)[0] + 16
        unwrapped = self.context.unwrap(sealed)
        assert unwrapped.encrypted and len(unwrapped.message) == length
        return unwrapped.message.decode()

    def answer(self, plain):
        found = re.search(r"<a:MessageID>([^<]*)<", plain)
        return ANSWER.format(
            id=found.group(1) if found else "",
            user=re.sub(r"[^ -~]", "", str(self.context.initiator_name)),  # gss-ntlmssp leaves a NUL at its end
            heard=len(plain.encode()),
            sealed=self.sealed,
            padding="p" * (len(plain) * 97 % 70000),
        )

    def reply(self, status, body, kind, token):
        self.send_response(status)
        if status == 401 or token:
            text = " " + base64.b64encode(token).decode() if token else ""
            for scheme in [self.scheme] if token else SCHEMES:
                self.send_header("WWW-Authenticate", scheme + text)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer.allow_reuse_address = True
server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "0"))), Handler)
server.daemon_threads = True
if TLS_FILE:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(TLS_FILE)
    server.socket = tls.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
