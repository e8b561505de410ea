"""Pulls from a project of Harbor 2.12 or newer: python3 harbor.py https://harbor.example.com ghcr > usage.csv.

HARBOR_USER and HARBOR_PASSWORD are those of a robot account that may list artifacts.
"""

import base64
import csv
import json
import os
import sys
import urllib.parse
import urllib.request

server, project = sys.argv[1:]
login = base64.b64encode(f"{os.environ['HARBOR_USER']}:{os.environ['HARBOR_PASSWORD']}".encode()).decode()
artifacts = []
page = 1
while True:
    # base=* lists the platforms of images too: clients pull them by digest
    query = urllib.parse.urlencode({"q": "base=*", "with_tag": "false", "page": page, "page_size": 100})
    address = f"{server}/api/v2.0/projects/{urllib.parse.quote(project)}/artifacts?{query}"
    request = urllib.request.Request(address, headers={"Authorization": f"Basic {login}"})
    with urllib.request.urlopen(request, timeout=60) as response:
        found = json.load(response)
    if not found:
        break
    artifacts += found
    page += 1

rows = csv.writer(sys.stdout)
rows.writerow(["package", "digest", "last_used"])
for artifact in artifacts:
    package = artifact["repository_name"].removeprefix(f"{project}/")
    # never pulled is 0001-01-01T00:00:00.000Z; what Harbor took in counts as used then
    rows.writerow([package, artifact["digest"], max(artifact["pull_time"], artifact["push_time"])])
