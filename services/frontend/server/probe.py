"""The image's health check: exit 0 when the page's server answers 200."""

import http.client
import os
import sys

port = int(os.environ["BIND"].rpartition(":")[2])
connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
try:
    connection.request("GET", "/health")
    status = connection.getresponse().status
except OSError as failed:
    sys.exit(f"no answer on port {port}: {failed}")
sys.exit(0 if status == http.client.OK else f"port {port} answered {status}")
