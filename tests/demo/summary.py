#!/usr/bin/env python3
"""What clients saw of each challenger, from the player's own counts: summary.py REPORT CHALLENGERS

Fails when a client saw an answer of the refused challenger, or when more than the defect's requests failed.
"""

import json
import sys


def main() -> int:
    report, challengers = (json.load(open(path, encoding="utf-8")) for path in sys.argv[1:3])
    by_revision = report["revisions"]
    print(f"requests sent {report['sent']}, answered {report['succeeded']}, failed {report['failed']}")
    problems = []
    explained = 0
    for item in sorted(challengers["items"], key=lambda item: item["metadata"]["creationTimestamp"]):
        name, status = item["metadata"]["name"], item["status"]
        seen = by_revision.get(status.get("revision", ""), {"succeeded": 0, "failed": 0})
        answers = seen["succeeded"] + seen["failed"]
        print(f"{name}: {status['phase']}; clients saw {answers} of its answers, {seen['failed']} of them failed")
        explained += seen["failed"]
        if status["phase"] == "Rejected" and answers:
            problems.append(f"{answers} clients were answered by {name}, which was refused in shadow")
        if status["phase"] == "Promoted" and seen["failed"]:
            problems.append(f"{name} was promoted and failed {seen['failed']} requests")
    if report["failed"] != explained:
        problems.append(f"{report['failed'] - explained} requests failed without an answer of a challenger: {report['failures']['kinds']}")
    for problem in problems:
        print(f"NOT AS IT SHOULD BE: {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
