// Package awsxrayreceiver takes the place of upstream's receiver of that name: X-Ray SDKs send it
// their segments by UDP, as to the X-Ray daemon.
//
// Upstream's (contrib v0.156) counts what arrives twice, as a packet and as spans, and what it
// refuses once; a segment in progress becomes a span that ends in 1970, and one with an overlong trace
// id ends the collector. Here each segment counts once: accepted, refused by reason, or in progress.
// What it becomes is upstream's translation, and the config's keys are upstream's.
package awsxrayreceiver

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"

	upstream "github.com/open-telemetry/opentelemetry-collector-contrib/receiver/awsxrayreceiver"
	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/awsxrayreceiver/segments"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"
	"go.uber.org/zap"
)

const (
	// The daemon's own number, and upstream's.
	readers = 2
	// No UDP packet is larger.
	largest = 64 << 10
	// What the kernel holds meanwhile, where it lets us have so much: at most 64 segments of the largest.
	waiting = 4 << 20
)

// NewFactory takes upstream's place under its name and with its config.
func NewFactory() receiver.Factory {
	base := upstream.NewFactory()
	return receiver.NewFactory(base.Type(), base.CreateDefaultConfig,
		receiver.WithTraces(func(_ context.Context, set receiver.Settings, cfg component.Config, next consumer.Traces) (receiver.Traces, error) {
			config := cfg.(*upstream.Config)
			intake, err := newIntake(set, config.Endpoint, next)
			return &daemon{config: config, set: set, intake: intake}, err
		}, base.TracesStability()))
}

type daemon struct {
	config *upstream.Config
	set    receiver.Settings
	intake *intake
	socket *net.UDPConn
	proxy  segments.Server
	reads  sync.WaitGroup
}

func (d *daemon) Start(_ context.Context, host component.Host) error {
	address, err := net.ResolveUDPAddr("udp", d.config.Endpoint)
	if err != nil {
		return err
	}
	if d.socket, err = net.ListenUDP("udp", address); err != nil {
		return err
	}
	if err := d.socket.SetReadBuffer(waiting); err != nil {
		d.set.Logger.Info("The kernel holds fewer segments than asked for", zap.Error(err))
	}
	for range readers {
		d.reads.Add(1)
		go d.read(host)
	}
	return d.startProxy(host)
}

// startProxy leaves upstream's proxy out where its port is any free one, which nobody can ask: it signs
// whatever comes with the collector's credentials, and the extension awsproxy answers samplers.
func (d *daemon) startProxy(host component.Host) error {
	if _, port, err := net.SplitHostPort(d.config.ProxyServer.Endpoint); err == nil && port == "0" {
		return nil
	}
	var err error
	if d.proxy, err = segments.NewServer(d.config, host, d.set.TelemetrySettings); err != nil {
		return err
	}
	go func() {
		if err := d.proxy.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
			componentstatus.ReportStatus(host, componentstatus.NewFatalErrorEvent(err))
		}
	}()
	return nil
}

func (d *daemon) read(host component.Host) {
	defer d.reads.Done()
	packet := make([]byte, largest)
	for {
		length, err := d.socket.Read(packet)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			componentstatus.ReportStatus(host, componentstatus.NewFatalErrorEvent(err))
			return
		}
		d.intake.take(packet[:length])
	}
}

func (d *daemon) Shutdown(ctx context.Context) error {
	var failed error
	if d.socket != nil {
		failed = d.socket.Close()
		d.reads.Wait()
	}
	if d.proxy != nil {
		failed = errors.Join(failed, d.proxy.Shutdown(ctx))
	}
	return failed
}
