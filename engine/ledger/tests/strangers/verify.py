"""Checks a published log with Python tools that share no code with its writer.

Usage: verify.py CHECK DIR, where CHECK is
  tlog       tlog-scales: checkpoint signature, root from tiles, entries, own inclusion and consistency proofs
  aics       aics-tlog: checkpoint signature, every tile and bundle against the root, proofs made from tiles
  dsse       securesystemslib: the signature of every entry
  statement  in-toto-attestation: every statement is valid
  canonical  rfc8785: every statement is canonical JSON
Exit status 0: accepted, 1: refused, 2: cannot run. Refusals are the ones that a library is documented to raise, each
where it judges; whatever else goes wrong is a tool that stumbled, and has judged nothing.
"""

import contextlib
import json
import pathlib
import sys
import traceback

try:
    import aics_tlog
    import rfc8785
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from google.protobuf import json_format
    from in_toto_attestation.v1.statement import Statement
    from in_toto_attestation.v1 import statement_pb2
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import VerificationError
    from securesystemslib.signer import SSlibKey
    from tlog_scales import signing
    from tlog_scales.backend import LocalBackend
    from tlog_scales.reader import TilesReader
    from tlog_scales.utils import sha256
except Exception:  # An uncaught one would have the status of a refusal.
    traceback.print_exc()
    sys.exit(2)


class Refused(Exception):
    pass


@contextlib.contextmanager
def judged(*refusals):
    """What a library raises here to refuse, and nothing that is derived from it: those are other errors."""
    try:
        yield
    except refusals as error:
        if type(error) not in refusals:
            raise
        raise Refused(f"{type(error).__name__}: {error}") from error


def reader(directory):
    tiles = TilesReader(LocalBackend(directory))
    return tiles, tiles.get_checkpoint()


def entries(directory):
    tiles, checkpoint = reader(directory)
    if checkpoint.size == 0:
        raise Refused("no entries")
    for index in range(checkpoint.size):
        yield index, tiles.get_entry(index)


def tlog(directory):
    vkey = signing.Vkey.from_string((directory / "keys/log.vkey").read_text().strip())
    tiles, checkpoint = reader(directory)
    with judged(InvalidSignature, RuntimeError):
        checkpoint.verify(vkey)
    if checkpoint.origin != vkey.name:
        raise Refused("checkpoint of another log")
    if tiles.calculate_root_hash() != checkpoint.root_hash:
        raise Refused("the tiles have another root")
    for index, entry in entries(directory):
        # The leaf in the tile must be that of the entry; mth of one leaf is its hash.
        if tiles.mth(index, index + 1) != sha256(b"\x00" + entry):
            raise Refused(f"entry {index} is not in the tree")


def aics(directory):
    key = aics_tlog.parse_vkey((directory / "keys/log.vkey").read_text().strip())
    note = aics_tlog.parse_note((directory / "checkpoint").read_bytes())
    result = aics_tlog.verify_checkpoint(note, key, expected_origin=key.name)
    if not result.ok:
        raise Refused(result.error)
    tiles = aics_tlog.FileSystemTileReader(directory)
    with judged(aics_tlog.TileVerificationError):
        aics_tlog.audit_tiles(tiles, result.size, result.root)
    for index in (0, 1, 7, 255, 256, result.size - 1):
        proof = aics_tlog.inclusion_proof_from_tiles(tiles, index, result.size)
        leaf = aics_tlog.read_entry(tiles, index, result.size)
        if not aics_tlog.verify_leaf_inclusion(leaf, index, result.size, proof, result.root):
            raise Refused(f"entry {index} is not in the tree")
    # The writer's own proofs, by this verifier.
    proofs = json.loads((directory / "proofs.json").read_text())
    if not proofs["inclusion"] or not proofs["consistency"]:
        raise Refused("there are no proofs")
    for proof in proofs["inclusion"]:
        path = [bytes.fromhex(hash) for hash in proof["hashes"]]
        leaf, root = bytes.fromhex(proof["leaf"]), bytes.fromhex(proof["root"])
        if not aics_tlog.verify_inclusion(leaf, proof["index"], proof["size"], path, root):
            raise Refused(f"inclusion proof of entry {proof['index']}")
    for proof in proofs["consistency"]:
        path = [bytes.fromhex(hash) for hash in proof["hashes"]]
        roots = bytes.fromhex(proof["oldRoot"]), bytes.fromhex(proof["newRoot"])
        if not aics_tlog.verify_consistency(proof["old"], proof["new"], *roots, path):
            raise Refused(f"consistency proof from {proof['old']}")


def dsse(directory):
    pem = (directory / "keys/attestation.pub.pem").read_bytes()
    public = load_pem_public_key(pem)
    for index, entry in entries(directory):
        data = json.loads(entry)
        key_id = data["signatures"][0]["keyid"]
        key = SSlibKey.from_crypto(public, keyid=key_id)
        envelope = Envelope.from_dict(data)
        with judged(VerificationError):
            envelope.verify([key], threshold=1)


def payloads(directory):
    for index, entry in entries(directory):
        yield index, Envelope.from_dict(json.loads(entry)).payload


def statement(directory):
    for index, payload in payloads(directory):
        with judged(json_format.ParseError):
            parsed = json_format.Parse(payload, statement_pb2.Statement())
        with judged(ValueError):
            Statement.copy_from_pb(parsed).validate()


def canonical(directory):
    for index, payload in payloads(directory):
        if rfc8785.dumps(json.loads(payload)) != payload:
            raise Refused(f"entry {index} is not canonical")


CHECKS = {check.__name__: check for check in (tlog, aics, dsse, statement, canonical)}

if len(sys.argv) != 3 or sys.argv[1] not in CHECKS:
    print(__doc__, file=sys.stderr)
    sys.exit(2)
try:
    CHECKS[sys.argv[1]](pathlib.Path(sys.argv[2]))
except Refused as error:
    print(f"refused: {error}")
    sys.exit(1)
except Exception:
    traceback.print_exc()
    sys.exit(2)
print("accepted")
