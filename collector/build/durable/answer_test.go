package durable

import (
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestAKeyThatAVendorRepeatsIsHidden(t *testing.T) {
	vendor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		for _, values := range r.Header {
			io.WriteString(w, strings.Join(values, " ")+"\n")
		}
		io.WriteString(w, "the password was pass-of-the-tests\n")
	}))
	defer vendor.Close()
	for name, header := range map[string]string{
		"X-Honeycomb-Team": "key-of-the-tests",
		"Api-Key":          "key-of-the-tests",
		"Authorization":    "Bearer key-of-the-tests",
		"Proxy-Authorization": "Basic " +
			base64.StdEncoding.EncodeToString([]byte("123456:pass-of-the-tests")),
	} {
		request, _ := http.NewRequestWithContext(
			context.WithValue(t.Context(), answerKey{}, &answer{}), http.MethodPost, vendor.URL, nil)
		request.Header.Set(name, header)
		request.Header.Set("X-Dataset", "spans-of-the-tests")
		response, err := roundTripper{http.DefaultTransport}.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		said, _ := io.ReadAll(response.Body)
		response.Body.Close()
		scheme, key, _ := strings.Cut(header, " ")
		if key == "" {
			key = scheme
		}
		if strings.Contains(string(said), key) || scheme == "Basic" && strings.Contains(string(said), "pass-of-the-tests") {
			t.Errorf("%s: %s", name, said)
		}
		if !strings.Contains(string(said), "spans-of-the-tests") {
			t.Errorf("%s: what is no key is gone too: %s", name, said)
		}
	}
}

func TestAHiddenKeyIsAsLongAsItWas(t *testing.T) {
	said := []byte("no key-of-the-tests here")
	hideKeys(said, http.Header{"Api-Key": {"key-of-the-tests"}})
	if string(said) != "no **************** here" {
		t.Errorf("%q", said)
	}
}

func TestRetryAfterIsBounded(t *testing.T) {
	for asked, want := range map[string]string{
		"":                              "",
		"2":                             "2",
		"60":                            "60",
		"86400":                         "60",
		"soon":                          "soon",
		"Sun, 06 Nov 1994 08:49:37 GMT": "Sun, 06 Nov 1994 08:49:37 GMT",
		time.Now().Add(time.Hour).UTC().Format(http.TimeFormat): "60",
	} {
		vendor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", asked)
			w.WriteHeader(http.StatusServiceUnavailable)
		}))
		request, _ := http.NewRequestWithContext(
			context.WithValue(t.Context(), answerKey{}, &answer{}), http.MethodPost, vendor.URL, nil)
		response, err := roundTripper{http.DefaultTransport}.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		vendor.Close()
		if got := response.Header.Get("Retry-After"); got != want {
			t.Errorf("%q became %q, not %q", asked, got, want)
		}
	}
}
