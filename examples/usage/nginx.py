"""Pulls through an nginx proxy in front of ghcr.io: python3 nginx.py access.log* > usage.csv."""

import csv
import fileinput
import re
import sys
from datetime import datetime
from urllib.parse import unquote

# 10.0.0.7 - - [04/May/2026:02:17:31 +0000] "GET /v2/acme/app/manifests/v1 HTTP/1.1" 200 1024 "-" "containerd/2.1"
PULL = re.compile(r'\[([^]]+)] "(?:GET|HEAD) /v2/([^ ?"]+)/manifests/([^ /?"]+)[^"]*" (?:2\d\d|304) ')

newest: dict[tuple[str, str], datetime] = {}
oldest = None
# also reads what logrotate has compressed
with fileinput.input(openhook=fileinput.hook_compressed, encoding="utf-8", errors="replace") as lines:
    for line in lines:
        if pull := PULL.search(line):
            time = datetime.strptime(pull[1], "%d/%b/%Y:%H:%M:%S %z")
            key = unquote(pull[2]), unquote(pull[3])
            newest[key] = max(time, newest.get(key, time))
            oldest = min(time, oldest or time)

if oldest is None:
    raise SystemExit("These logs have no pull. Is their format combined?")
rows = csv.writer(sys.stdout)
rows.writerow(["package", "digest", "tag", "last_used"])
for (package, reference), time in sorted(newest.items()):
    digest, tag = (reference, "") if ":" in reference else ("", reference)
    rows.writerow([package, digest, tag, time.isoformat()])
print(f"usage-since: {oldest.isoformat()}", file=sys.stderr)
