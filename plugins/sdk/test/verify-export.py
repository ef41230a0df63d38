"""Checks an export of the log with nothing but the specifications: hashlib, and openssl for Ed25519.

usage: verify-export.py EXPORT NAME+ID+KEY; prints what it found as JSON
"""
import base64, hashlib, json, subprocess, sys, tempfile


def sha(data):
    return hashlib.sha256(data).digest()


def root_of(leaves):  # RFC 6962, section 2.1
    if not leaves:
        return sha(b"")
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha(b"\x01" + root_of(leaves[:k]) + root_of(leaves[k:]))


def signed_by(note, key):  # c2sp.org/signed-note
    name, key_id, material = key.split("+", 2)
    material = base64.b64decode(material)
    assert sha(name.encode() + b"\n" + material)[:4].hex() == key_id and material[0] == 1
    text, signatures = note.rsplit("\n\n", 1)
    text += "\n"
    for line in signatures.splitlines():
        dash, who, blob = line.split(" ")
        blob = base64.b64decode(blob)
        if who != name or blob[:4].hex() != key_id:
            continue
        with tempfile.TemporaryDirectory() as d:
            files = {"key": bytes.fromhex("302a300506032b6570032100") + material[1:], "text": text.encode(), "sig": blob[4:]}
            for file, data in files.items():
                open(f"{d}/{file}", "wb").write(data)
            ran = subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", f"{d}/key",
                                  "-rawin", "-in", f"{d}/text", "-sigfile", f"{d}/sig"], capture_output=True)
        return text if ran.returncode == 0 else None
    return None


def main(path, key):
    lines = open(path, encoding="utf-8").read().splitlines()
    end = json.loads(lines.pop())
    leaves, openings = [], 0
    for index, line in enumerate(lines):
        entry = json.loads(line)
        envelope = json.loads(entry["envelope"])
        leaves.append(sha(b"\x00" + entry["envelope"].encode()))
        assert entry["index"] == envelope["index"] == index, index
        assert base64.b64decode(entry["leaf"]) == leaves[-1], index
        for name, opening in entry["openings"].items():
            text = '["%s",%s]' % (opening["salt"], opening["value"])
            assert hashlib.sha256(text.encode()).hexdigest() == envelope["commitments"][name], index
            openings += 1
    checked = 0
    for note in end["history"] + [end["checkpoint"]]:
        text = signed_by(note, key)
        assert text is not None, "signature"
        origin, size, root = text.splitlines()
        assert base64.b64decode(root) == root_of(leaves[: int(size)]), "root at " + size
        checked += 1
    assert int(size) == len(leaves), "size"
    print(json.dumps({"entries": len(leaves), "openings": openings, "checkpoints": checked, "root": root}))


main(*sys.argv[1:])
