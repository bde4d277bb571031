"""A C2SP witness (aics-witness) on loopback that sees an honest log grow, a fork of it, and a rollback.

Usage: witness.py DIR with DIR/witness.json: the log's origin and vkey, signed notes, and consistency proofs.
Exit status 0: it cosigned the honest log and refused the rest, 1: it did not, 2: cannot run.
"""

import base64
import json
import pathlib
import sys
import threading
import traceback
import urllib.error
import urllib.request

try:
    from aics_tlog import parse_note, parse_vkey, verify_checkpoint
    from aics_witness import cli
    from aics_witness.config import load_config
    from aics_witness.service import Witness, make_server
    from aics_witness.store import WitnessStore
except Exception:  # An uncaught one would have the status of a witness that did not do what it should.
    traceback.print_exc()
    sys.exit(2)

if len(sys.argv) != 2:
    print(__doc__, file=sys.stderr)
    sys.exit(2)
directory = pathlib.Path(sys.argv[1])
config = directory / "config.json"


def command(*words):
    if cli.main([*words]) != 0:
        sys.exit(2)


def start(story):
    command("init", "--config", str(config), "--name", "witness.example.org/w1")
    command("add-log", "--config", str(config), "--origin", story["origin"], "--vkey", story["vkey"])
    loaded = load_config(str(config))
    key, _, _ = cli.load_or_create_key(loaded.key_path, create=False)
    witness = Witness(loaded.name, key, WitnessStore(loaded.db_path), loaded.logs)
    server = make_server(witness)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.url, witness.vkey_text


def submit(url, old, note, proof):
    hashes = [base64.b64encode(bytes.fromhex(hash)).decode() for hash in proof]
    body = "\n".join([f"old {old}", *hashes, "", note]).encode()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url + "/add-checkpoint", data=body, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


failures = []


def expect(what, wanted, found):
    print(f"{what}: {found}")
    if found != wanted:
        failures.append(what)


def main():
    story = json.loads((directory / "witness.json").read_text())
    url, vkey = start(story)
    small, large, fork = story["small"], story["large"], story["fork"]
    expect("the first checkpoint is cosigned", 200, submit(url, 0, small["note"], [])[0])
    expect("a fork is refused", 422, submit(url, small["size"], fork["note"], fork["proof"])[0])
    status, line = submit(url, small["size"], large["note"], large["proof"])
    expect("the grown log is cosigned", 200, status)
    expect("a fork of the same size is refused", 422, submit(url, large["size"], fork["note"], [])[0])
    expect("a rollback is refused", 409, submit(url, 0, small["note"], [])[0])
    cosigned = parse_note((large["note"] + line).encode())
    log, witness = parse_vkey(story["vkey"]), parse_vkey(vkey)
    for quorum in (1, 2):
        result = verify_checkpoint(cosigned, log, [witness], quorum=quorum)
        expect(f"a quorum of {quorum} is reached", quorum == 1, result.ok)


try:
    main()
except Exception:
    traceback.print_exc()
    sys.exit(2)
print(f"refused: {failures}" if failures else "accepted")
sys.exit(1 if failures else 0)
