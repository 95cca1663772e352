package awsproxy

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	upstream "github.com/open-telemetry/opentelemetry-collector-contrib/extension/awsproxy"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/extension"
)

// freeAddress is below the ports that the kernel gives to whoever asks for any: it could be the proxy's.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(22_000))
		if free, err := net.Listen("tcp", address); err == nil {
			_ = free.Close()
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}

// start gives the proxy's URL, and what arrived at X-Ray behind it.
func start(t *testing.T, edit func(*upstream.Config)) (string, *[]*http.Request, error) {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", "none")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "none")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	arrived := []*http.Request{}
	xray := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		arrived = append(arrived, r)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write([]byte(`{"SamplingRuleRecords":[]}`))
	}))
	t.Cleanup(xray.Close)
	address := freeAddress(t)

	cfg := NewFactory().CreateDefaultConfig().(*upstream.Config)
	cfg.ProxyConfig.Endpoint = address
	cfg.ProxyConfig.Region = "eu-north-1"
	cfg.ProxyConfig.AWSEndpoint = xray.URL
	if edit != nil {
		edit(cfg)
	}
	set := extension.Settings{ID: component.NewID(NewFactory().Type()), TelemetrySettings: componenttest.NewNopTelemetrySettings()}
	made, err := NewFactory().Create(context.Background(), set, cfg)
	if err != nil {
		t.Fatal(err)
	}
	err = made.Start(context.Background(), componenttest.NewNopHost())
	t.Cleanup(func() { _ = made.Shutdown(context.Background()) })
	return "http://" + address, &arrived, err
}

func ask(t *testing.T, method, url, body string, headers map[string]string) (int, string) {
	t.Helper()
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	answer, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text)
}

func TestASamplersTwoRequestsPassSigned(t *testing.T) {
	url, arrived, err := start(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/GetSamplingRules", "/SamplingTargets"} {
		status, text := ask(t, http.MethodPost, url+path, `{"a":1}`, map[string]string{"X-Mine": "1"})
		if status != http.StatusTeapot || text != `{"SamplingRuleRecords":[]}` {
			t.Errorf("%s: X-Ray's answer became %d %s", path, status, text)
		}
	}
	if len(*arrived) != 2 {
		t.Fatalf("%d requests arrived", len(*arrived))
	}
	for _, request := range *arrived {
		body, _ := io.ReadAll(request.Body)
		if string(body) != `{"a":1}` {
			t.Errorf("the body became %s", body)
		}
		if signed := request.Header.Get("Authorization"); !strings.Contains(signed, "/eu-north-1/xray/aws4_request") {
			t.Errorf("the signature is %q", signed)
		}
		if request.Header.Get("X-Mine") != "" {
			t.Error("a header of the sender was signed and passed on")
		}
	}
}

func TestNothingElseIsSigned(t *testing.T) {
	url, arrived, err := start(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range []struct {
		name, method, path string
		headers            map[string]string
		size, status       int
	}{
		{"segments", http.MethodPost, "/TraceSegments", nil, 1, 403},
		{"a rule deleted", http.MethodPost, "/DeleteSamplingRule", nil, 1, 403},
		{"traces read", http.MethodPost, "/TraceSummaries", nil, 1, 403},
		{"a path below", http.MethodPost, "/GetSamplingRules/..%2fTraces", nil, 1, 403},
		{"two slashes", http.MethodPost, "//GetSamplingRules", nil, 1, 403},
		{"another method", http.MethodGet, "/GetSamplingRules", nil, 0, 403},
		{"a web page", http.MethodPost, "/GetSamplingRules", map[string]string{"Origin": "http://evil.example"}, 1, 403},
		{"a body too large", http.MethodPost, "/SamplingTargets", nil, mostBytes + 1, 413},
	} {
		status, _ := ask(t, one.method, url+one.path, strings.Repeat("a", one.size), one.headers)
		if status != one.status {
			t.Errorf("%s: answered %d", one.name, status)
		}
	}
	if len(*arrived) != 0 {
		t.Errorf("%d requests arrived", len(*arrived))
	}
}

func TestAnotherServiceIsRefused(t *testing.T) {
	if _, _, err := start(t, func(cfg *upstream.Config) { cfg.ProxyConfig.ServiceName = "sts" }); err == nil {
		t.Fatal("it started")
	}
}

func TestXRayAwayIsABadGatewayThatTellsNoAddress(t *testing.T) {
	url, _, err := start(t, func(cfg *upstream.Config) { cfg.ProxyConfig.AWSEndpoint = "http://127.0.0.1:1" })
	if err != nil {
		t.Fatal(err)
	}
	status, text := ask(t, http.MethodPost, url+"/GetSamplingRules", "{}", nil)
	if status != http.StatusBadGateway || strings.Contains(text, "127.0.0.1") {
		t.Errorf("%d %s", status, text)
	}
}
