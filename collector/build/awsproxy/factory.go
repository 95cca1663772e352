// Package awsproxy takes the place of upstream's extension of that name.
//
// Upstream's signs whatever comes to its port with the collector's AWS credentials: who reaches it
// can ask X-Ray for anything that these may. Here two requests of a sampler pass, and nothing else.
package awsproxy

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/xray"
	"github.com/open-telemetry/opentelemetry-collector-contrib/exporter/awsxrayexporter/documents"
	upstream "github.com/open-telemetry/opentelemetry-collector-contrib/extension/awsproxy"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/extension"
	"go.uber.org/zap"
)

// A report holds 25 rules' statistics at most, some 200 bytes each.
const mostBytes = 64 << 10

var passed = map[string]bool{"/GetSamplingRules": true, "/SamplingTargets": true}

// NewFactory takes upstream's place under its name and with its config.
func NewFactory() extension.Factory {
	base := upstream.NewFactory()
	return extension.NewFactory(base.Type(), base.CreateDefaultConfig,
		func(_ context.Context, set extension.Settings, cfg component.Config) (extension.Extension, error) {
			return &proxy{config: cfg.(*upstream.Config), logger: set.Logger}, nil
		}, base.Stability())
}

type proxy struct {
	config   *upstream.Config
	logger   *zap.Logger
	aws      aws.Config
	endpoint string
	server   *http.Server
}

func (p *proxy) Start(ctx context.Context, host component.Host) error {
	own := p.config.ProxyConfig
	if own.ServiceName != "" && own.ServiceName != "xray" {
		return fmt.Errorf("awsproxy passes X-Ray's sampling on, and nothing of %s", own.ServiceName)
	}
	var err error
	p.aws, err = documents.Session(ctx, p.logger, own.Region, own.RoleARN, own.ProxyAddress, own.TLS.InsecureSkipVerify)
	if err != nil {
		return err
	}
	p.endpoint = strings.TrimRight(own.AWSEndpoint, "/")
	if p.endpoint == "" {
		found, err := xray.NewDefaultEndpointResolverV2().ResolveEndpoint(ctx, xray.EndpointParameters{Region: &p.aws.Region})
		if err != nil {
			return err
		}
		p.endpoint = found.URI.String()
	}
	listener, err := net.Listen("tcp", own.Endpoint)
	if err != nil {
		return err
	}
	p.server = &http.Server{Handler: p, ReadTimeout: 10 * time.Second, WriteTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	go func() {
		if err := p.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			componentstatus.ReportStatus(host, componentstatus.NewFatalErrorEvent(err))
		}
	}()
	return nil
}

func (p *proxy) Shutdown(ctx context.Context) error {
	if p.server == nil {
		return nil
	}
	return p.server.Shutdown(ctx)
}

func (p *proxy) ServeHTTP(answer http.ResponseWriter, asked *http.Request) {
	// A sampler is no browser: with an Origin some page asks, maybe under a name made up for it.
	if asked.Method != http.MethodPost || !passed[asked.URL.Path] || asked.Header.Get("Origin") != "" {
		http.Error(answer, "only X-Ray's GetSamplingRules and SamplingTargets pass", http.StatusForbidden)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(answer, asked.Body, mostBytes))
	if err != nil {
		http.Error(answer, "the body cannot be read, or is too large", http.StatusRequestEntityTooLarge)
		return
	}
	given, err := p.send(asked.Context(), asked.URL.Path, body)
	if err != nil {
		p.logger.Warn("X-Ray was not asked for its sampling", zap.Error(err))
		http.Error(answer, "X-Ray cannot be asked; the collector's log says why", http.StatusBadGateway)
		return
	}
	defer given.Body.Close()
	answer.Header().Set("Content-Type", given.Header.Get("Content-Type"))
	answer.WriteHeader(given.StatusCode)
	_, _ = io.Copy(answer, given.Body)
}

func (p *proxy) send(ctx context.Context, path string, body []byte) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.endpoint+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	credentials, err := p.aws.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(body)
	err = v4.NewSigner().SignHTTP(ctx, credentials, request, hex.EncodeToString(digest[:]), "xray", p.aws.Region, time.Now())
	if err != nil {
		return nil, err
	}
	return p.aws.HTTPClient.Do(request)
}
