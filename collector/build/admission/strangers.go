package admission

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap/zapcore"
)

const (
	// Of what comes over gRPC's port and is no gRPC: enough for an exporter's headers.
	maxStrange  = 4 << 10
	strangeTime = time.Second
	// net/http's words.
	handshakeError = "http: TLS handshake error from "

	whyHTTP = "this is HTTP on gRPC's port: OTLP over HTTP goes to 4318; or set OTEL_EXPORTER_OTLP_PROTOCOL=grpc"
	whyTLS  = "TLS on a port without it: http:// in place of https://, or OTEL_EXPORTER_OTLP_INSECURE=true"
)

var errNoGRPC = errors.New("no gRPC")

// stranger tells who speaks HTTP or TLS on gRPC's port. grpc-go only closes the connection, and an HTTP
// client then says "connection reset", or "malformed HTTP response" of the settings that it got.
func (c *connection) stranger(began []byte) {
	n := &note{protocol: overGRPC, path: "other", reason: reasonProtocol, why: "neither gRPC nor HTTP on gRPC's port"}
	if began[0] == 0x16 && !c.encrypted { // a handshake
		n.reason, n.why = reasonTLS, whyTLS
		c.guard.refusals.add(context.Background(), n)
		return
	}
	_ = c.Conn.SetReadDeadline(time.Now().Add(strangeTime))
	sent := append(make([]byte, 0, maxStrange), began...)
	for len(sent) < maxStrange && !bytes.Contains(sent, []byte("\r\n\r\n")) {
		read, err := c.Conn.Read(sent[len(sent):cap(sent)])
		if sent = sent[:len(sent)+read]; err != nil {
			break
		}
	}
	if request, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(sent))); err == nil {
		n.agent, n.detail, n.why = request.UserAgent(), request.URL.Path, whyHTTP
		if n.path = tidied(request.URL.Path); c.guard.config.Signals[n.path] == "" {
			n.path, _ = slip(n.path)
		}
		body := fmt.Sprintf(`{"code":3,"message":%q}`, whyHTTP)
		_, _ = fmt.Fprintf(c.Conn, "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nConnection: close\r\n"+
			"Content-Length: %d\r\n\r\n%s", len(body), body)
	}
	c.guard.refusals.add(context.Background(), n)
}

// Hear is called with what upstream's server logs: that is where a handshake that failed is to be seen.
func (g *Guard) Hear(entry zapcore.Entry) error {
	if rest, is := strings.CutPrefix(entry.Message, handshakeError); is {
		if _, why, found := strings.Cut(rest, ": "); found {
			g.failedHandshake(overHTTP, why)
		}
	}
	return nil
}

func (g *Guard) failedHandshake(protocol, said string) {
	if said == "EOF" || strings.HasSuffix(said, "connection reset by peer") {
		return // who only looks whether the port is open
	}
	why := "the TLS handshake failed"
	switch {
	case strings.Contains(said, "HTTP request to an HTTPS server"), strings.Contains(said, "does not look like a TLS handshake"):
		why = "no TLS on a port that has it: https:// in place of http://"
	case strings.Contains(said, "didn't provide a certificate"):
		why = "no client certificate: OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and _CLIENT_KEY"
	case strings.Contains(said, "failed to verify certificate"):
		why = "a client certificate that our authority did not sign"
	case strings.Contains(said, "remote error: tls: "):
		why = "the sender does not trust our certificate: OTEL_EXPORTER_OTLP_CERTIFICATE is the authority's file"
	}
	g.refusals.add(context.Background(), &note{protocol: protocol, path: "other", reason: reasonTLS, why: why, detail: said})
}
