// Checks Sigstore bundles of entries with @sigstore/verify and the attestation key.
// Usage: node verify.mjs PUBLIC_KEY.pem BUNDLE.json... Exit status 0: all accepted, 1: refused, 2: cannot run.
import { createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";

const [keyFile, ...bundles] = process.argv.slice(2);
if (!keyFile || bundles.length === 0) {
  console.error("usage: verify.mjs PUBLIC_KEY.pem BUNDLE.json...");
  process.exit(2);
}
// Only what the libraries raise to refuse is a refusal. Anything else has judged nothing, a library that is not there
// too: uncaught, it would have the status of a refusal.
let refusals = [];
try {
  const { ValidationError, bundleFromJSON } = await import("@sigstore/bundle");
  const { PolicyError, VerificationError, Verifier, toSignedEntity, toTrustMaterial } = await import("@sigstore/verify");
  refusals = [ValidationError, PolicyError, VerificationError];
  const publicKey = createPublicKey(readFileSync(keyFile));
  const root = { mediaType: "", tlogs: [], certificateAuthorities: [], ctlogs: [], timestampAuthorities: [] };
  const trust = toTrustMaterial(root, () => ({ publicKey, validFor: () => true }));
  const verifier = new Verifier(trust, { tlogThreshold: 0, ctlogThreshold: 0, timestampThreshold: 0 });
  for (const file of bundles) {
    verifier.verify(toSignedEntity(bundleFromJSON(JSON.parse(readFileSync(file, "utf8")))));
  }
  console.log("accepted");
} catch (error) {
  if (!refusals.some((refusal) => error instanceof refusal)) {
    console.error(error);
    process.exit(2);
  }
  console.log(`refused: ${error.name}: ${error.message}`);
  process.exit(1);
}
