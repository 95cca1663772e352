"""The health check of an image: exit 0 when the address that it is given answers 200."""

import http.client
import sys
from urllib.parse import urlsplit

address = urlsplit(sys.argv[1])
connection = http.client.HTTPConnection(address.netloc, timeout=2)
try:
    connection.request("GET", address.path)
    status = connection.getresponse().status
except OSError as failed:
    sys.exit(f"no answer from {address.netloc}: {failed}")
sys.exit(0 if status == http.client.OK else f"{address.netloc} answered {status}")
