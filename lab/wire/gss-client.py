"""An NTLM client made of gss-ntlmssp: authenticates to the wire and sends three sealed envelopes, printing the answers.

argv: port, user, domain, then envelopes on standard input separated by a line with a single dot. The password is in the file
NTLM_USER_FILE, as gss-ntlmssp wants it. Prints one JSON list of [status, text], or {"refused": status}.
"""
import base64
import http.client
import json
import re
import struct
import sys

import gssapi

NTLMSSP = gssapi.OID.from_int_seq("1.3.6.1.4.1.311.2.2.10")
TYPE = 'multipart/encrypted;protocol="application/HTTP-SPNEGO-session-encrypted";boundary="Encrypted Boundary"'
HEAD = (
    b"--Encrypted Boundary\r\n\tContent-Type: application/HTTP-SPNEGO-session-encrypted\r\n"
    b"\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length=%d\r\n"
    b"--Encrypted Boundary\r\n\tContent-Type: application/octet-stream\r\n"
)


def post(connection, body, headers):
    connection.request("POST", "/wsman", body, headers)
    answer = connection.getresponse()
    return answer, answer.read()


def authenticate(connection, user, domain):
    name = gssapi.Name(f"{domain}\\{user}", gssapi.NameType.user)
    credentials = gssapi.Credentials(name=name, usage="initiate", mechs=[NTLMSSP])
    flags = gssapi.RequirementFlag.confidentiality | gssapi.RequirementFlag.integrity
    target = gssapi.Name("HTTP@localhost", gssapi.NameType.hostbased_service)
    context = gssapi.SecurityContext(name=target, creds=credentials, usage="initiate", mech=NTLMSSP, flags=flags)
    token = context.step()
    while token:
        text = base64.b64encode(token).decode()
        answer, _ = post(connection, b"", {"Authorization": f"Negotiate {text}"})
        challenge = re.match("Negotiate (.+)", answer.getheader("WWW-Authenticate") or "")
        token = context.step(base64.b64decode(challenge.group(1))) if challenge else None
    return context if answer.status == 200 else answer.status


def exchange(connection, context, envelope):
    sealed = context.wrap(envelope, True).message
    body = HEAD % len(envelope) + struct.pack("<I", 16) + sealed + b"--Encrypted Boundary--\r\n"
    answer, frame = post(connection, body, {"Content-Type": TYPE})
    start = frame.index(b"octet-stream\r\n") + len(b"octet-stream\r\n") + 4
    return answer.status, context.unwrap(frame[start : -len(b"--Encrypted Boundary--\r\n")]).message.decode()


def main(port, user, domain):
    connection = http.client.HTTPConnection("127.0.0.1", int(port))
    context = authenticate(connection, user, domain)
    if isinstance(context, int):
        print(json.dumps({"refused": context}))
        return
    envelopes = sys.stdin.buffer.read().split(b"\n.\n")
    print(json.dumps([exchange(connection, context, envelope) for envelope in envelopes]))


main(*sys.argv[1:])
