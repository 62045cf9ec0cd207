"""A WinRM-like server whose security is not ours: python3-gssapi over gss-ntlmssp.

Usage: NTLM_USER_FILE=file winrm-acceptor.py     (the file holds lines DOMAIN:user:password)

It prints its port, then answers every sealed envelope with a sealed one that tells who sent it, how long it was and how
many came on its connection. Content types and framing follow MS-WSMV 2.2.9.1.
"""

import base64
import re
import struct
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import gssapi

KIND = "application/HTTP-SPNEGO-session-encrypted"
BOUNDARY = b"--Encrypted Boundary"
NTLM = gssapi.OID.from_int_seq("1.3.6.1.4.1.311.2.2.10")
ANSWER = """<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" \
xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"><s:Header><a:RelatesTo>{id}</a:RelatesTo></s:Header><s:Body>\
<p:Msvm_Echo xmlns:p="http://schemas.microsoft.com/wbem/wsman/1/wmi/root/virtualization/v2/Msvm_Echo">\
<p:User>{user}</p:User><p:Heard>{heard}</p:Heard><p:Sealed>{sealed}</p:Sealed><p:Padding>{padding}</p:Padding>\
</p:Msvm_Echo></s:Body></s:Envelope>"""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    context = None
    sealed = 0

    def log_message(self, *arguments):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        token = None
        if "Authorization" in self.headers:
            try:
                token = self.step(base64.b64decode(self.headers["Authorization"].split(" ", 1)[1]))
            except gssapi.exceptions.GSSError:
                self.context = None
        if self.context is None or not self.context.complete:
            return self.reply(401, b"", "text/plain", token)
        plain = self.open(body)
        answer = self.answer(plain).encode()
        wrapped = self.context.wrap(answer, True).message
        frame = (
            BOUNDARY + b"\r\n\tContent-Type: " + KIND.encode()
            + b"\r\n\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length=%d\r\n" % len(answer)
            + BOUNDARY + b"\r\n\tContent-Type: application/octet-stream\r\n"
            + struct.pack("<I", 16) + wrapped + BOUNDARY + b"--\r\n"
        )
        self.reply(200, frame, f'multipart/encrypted;protocol="{KIND}";boundary="Encrypted Boundary"', token)

    def step(self, token):
        if self.context is None:
            credentials = gssapi.Credentials(usage="accept", mechs=[NTLM])
            self.context = gssapi.SecurityContext(creds=credentials, usage="accept")
        return self.context.step(token)

    def open(self, body):
        length = int(re.search(rb"Length=(\d+)\r\n", body).group(1))
        start = body.index(b"application/octet-stream\r\n") + len(b"application/octet-stream\r\n")
        signature = struct.unpack_from("<I", body, start)[0]
        sealed = body[start + 4 : start + 4 + signature + length]
        assert body[start + 4 + signature + length :] == BOUNDARY + b"--\r\n"
        unwrapped = self.context.unwrap(sealed)
        assert unwrapped.encrypted and len(unwrapped.message) == length
        self.sealed += 1
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
            self.send_header("WWW-Authenticate", "Negotiate" + text)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
print(server.server_address[1], flush=True)
server.serve_forever()
