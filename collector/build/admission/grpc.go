package admission

import (
	"context"
	"io"
	"reflect"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"go.opentelemetry.io/collector/extension/extensionmiddleware"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"
	"google.golang.org/protobuf/types/known/durationpb"
)

const (
	// A message arrives and is answered within this time or not at all; grpc-go would wait for ever.
	rpcSeconds = 10 * time.Second
	// grpc-go's own is 16 MiB for each stream.
	maxHeaders = 64 << 10
	// A frame may ask for 512 MiB with its first 14 bytes; zstd's own encoders ask for 8 at most.
	maxWindow = 8 << 20
)

var _ extensionmiddleware.GRPCServer = (*Guard)(nil)

func (g *Guard) GetGRPCServerOptions(ctx context.Context) ([]grpc.ServerOption, error) {
	base := insecure.NewCredentials()
	if g.config.GRPC != nil {
		config, err := g.config.GRPC.LoadTLSConfig(ctx)
		if err != nil {
			return nil, err
		}
		base = credentials.NewTLS(config)
	}
	return []grpc.ServerOption{
		// In the place of upstream's, which are the same without the following.
		grpc.Creds(following{base, g}),
		grpc.InTapHandle(g.arrive),
		grpc.ForceServerCodecV2(codec{encoding.GetCodecV2("proto"), g}),
		grpc.ChainUnaryInterceptor(g.answerRPC),
		grpc.MaxHeaderListSize(maxHeaders),
		grpc.StatsHandler(listening{g}),
		grpc.UnknownServiceHandler(unknown),
	}, nil
}

type callKey struct{}

// unknown is for a method that nothing is registered for.
func unknown(_ any, stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	why := "only OTLP's traces, metrics and logs are taken over gRPC"
	if signal := signalOfMethod(method); signal != "" {
		why = "no pipeline takes " + signal + " from this receiver: name it in one of that signal"
	}
	refuse(stream.Context(), reasonPath, why, method)
	return status.Error(codes.Unimplemented, why)
}

func signalOfMethod(method string) string {
	for _, signal := range []string{"trace", "metrics", "logs"} {
		if strings.HasPrefix(method, "/opentelemetry.proto.collector."+signal+".v1.") && strings.HasSuffix(method, "Service/Export") {
			return strings.TrimSuffix(signal, "s") + "s"
		}
	}
	return ""
}

// listening counts the calls that are refused, whoever refuses them: grpc-go itself, authentication, a
// pipeline.
type listening struct{ guard *Guard }

func (l listening) TagRPC(ctx context.Context, info *stats.RPCTagInfo) context.Context {
	n := &note{protocol: overGRPC, path: info.FullMethodName, agent: agentOf(ctx)}
	if signalOfMethod(n.path) == "" {
		n.path = "other"
	}
	return context.WithValue(ctx, noteKey{}, n)
}

func agentOf(ctx context.Context) string {
	sent, _ := metadata.FromIncomingContext(ctx)
	return strings.Join(sent.Get("user-agent"), " ")
}

func (l listening) HandleRPC(ctx context.Context, event stats.RPCStats) {
	end, is := event.(*stats.End)
	if !is || end.Error == nil {
		return
	}
	said := status.Convert(end.Error)
	switch code := said.Code(); {
	case code == codes.Unauthenticated || code == codes.PermissionDenied:
		refuse(ctx, reasonAuth, whyAuth, "")
	case strings.HasPrefix(said.Message(), "grpc: received message larger than max"),
		strings.HasPrefix(said.Message(), "grpc: message after decompression larger than max"):
		refuse(ctx, reasonHeavy, "the message is larger than max_recv_msg_size_mib: send it in parts", "")
	case strings.HasPrefix(said.Message(), "grpc: Decompressor is not installed"), strings.HasPrefix(said.Message(), "grpc: failed to decompress"):
		refuse(ctx, reasonEncoding, "the message is not compressed as grpc-encoding says, or that is not known here", "")
	case code == codes.DeadlineExceeded:
		refuse(ctx, reasonSlow, whySlow, "")
	case code == codes.Canceled:
		// The sender's own doing, unless it had to give way.
		if call, is := ctx.Value(callKey{}).(*arrival); is && l.guard.arriving.gaveWay(call) {
			refuse(ctx, reasonSlow, whySlow, "")
		}
	case code == codes.ResourceExhausted || code == codes.Unavailable:
		refuse(ctx, reasonBusy, "the pipeline has no room: memory_limiter, or a queue that is full", "")
	case code == codes.InvalidArgument:
		refuse(ctx, reasonMalform, "the message is no OTLP", "")
	default:
		refuse(ctx, reasonFailed, "the pipeline refused it: see `make logs SERVICE=collector`", "")
	}
	if n := noteOf(ctx); n.reason != "" {
		l.guard.refusals.add(ctx, n)
	}
}

func (listening) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

func (listening) HandleConn(context.Context, stats.ConnStats) {}

// arrive is called for each RPC's headers; the context that it returns ends with the RPC.
func (g *Guard) arrive(ctx context.Context, info *tap.Info) (context.Context, error) {
	limited, cancel := context.WithTimeout(ctx, rpcSeconds)
	call := g.arriving.begin(g.lineOf(ctx), 1, cancel)
	if call == nil {
		cancel()
		// Nobody else hears of it.
		ctx := listening{g}.TagRPC(ctx, &stats.RPCTagInfo{FullMethodName: info.FullMethodName})
		refuse(ctx, reasonBusy, errBusy.Error(), "")
		g.refusals.add(ctx, noteOf(ctx))
		return ctx, g.withRetryInfo(status.Error(codes.ResourceExhausted, errBusy.Error()))
	}
	context.AfterFunc(limited, func() {
		cancel()
		g.arriving.leave(call)
	})
	return context.WithValue(limited, callKey{}, call), nil
}

func (g *Guard) lineOf(ctx context.Context) *line {
	from, known := peer.FromContext(ctx)
	if !known {
		return &line{}
	}
	if followed, found := g.lines.Load(from.Addr); found {
		return followed.(*line)
	}
	return &line{from: hostOf(from.Addr.String())}
}

func (g *Guard) answerRPC(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if call, is := ctx.Value(callKey{}).(*arrival); is {
		g.arriving.whole(call)
		// Before the answer leaves: its context ends after it, and who sends one batch after the other
		// would be counted twice.
		defer g.arriving.leave(call)
	}
	noted, found := g.held.LoadAndDelete(request)
	if !found {
		return handler(ctx, request)
	}
	if refused, is := noted.(refusedMessage); is {
		refuse(ctx, refused.reason, refused.why, "")
		return nil, refused.error
	}
	defer g.atWork.leave(noted.(int))
	response, err := handler(ctx, request)
	return response, g.withRetryInfo(err)
}

// withRetryInfo: without it an SDK takes RESOURCE_EXHAUSTED for a quota that will not come back.
func (g *Guard) withRetryInfo(err error) error {
	said, is := status.FromError(err)
	if err == nil || !is || len(said.Details()) > 0 {
		return err
	}
	if code := said.Code(); code != codes.Unavailable && code != codes.ResourceExhausted {
		return err
	}
	detailed, failed := said.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(retryAfter)})
	if failed != nil {
		return err
	}
	return detailed.Err()
}

// codec weighs a message before it is decoded: an interceptor would come too late. What it says
// against a message waits for the interceptor, because grpc-go makes every error of a codec INTERNAL,
// which no SDK tries again.
type refusedMessage struct {
	error
	reason, why string
}

type codec struct {
	encoding.CodecV2
	guard *Guard
}

func (c codec) Unmarshal(data mem.BufferSlice, into any) error {
	signal := signalOf(into)
	if signal == "" {
		return c.CodecV2.Unmarshal(data, into)
	}
	content := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer content.Free()
	body := content.ReadOnlyData()
	weight, err := weigh(signal, body)
	if err != nil {
		c.guard.held.Store(into, refusedMessage{status.Error(codes.InvalidArgument, err.Error()), reasonOf(err), err.Error()})
		return nil
	}
	weight += copies * len(body)
	if !c.guard.atWork.take(weight) {
		again := c.guard.withRetryInfo(status.Error(codes.ResourceExhausted, errBusy.Error()))
		c.guard.held.Store(into, refusedMessage{again, reasonBusy, errBusy.Error()})
		return nil
	}
	if err := c.CodecV2.Unmarshal(mem.BufferSlice{content}, into); err != nil {
		c.guard.atWork.leave(weight)
		c.guard.held.Store(into, refusedMessage{status.Error(codes.InvalidArgument, err.Error()), reasonMalform, errMalformed.Error()})
		return nil
	}
	c.guard.held.Store(into, weight)
	return nil
}

func signalOf(request any) string {
	name := reflect.TypeOf(request).String()
	switch {
	case strings.HasSuffix(name, ".ExportTraceServiceRequest"):
		return "traces"
	case strings.HasSuffix(name, ".ExportMetricsServiceRequest"):
		return "metrics"
	case strings.HasSuffix(name, ".ExportLogsServiceRequest"):
		return "logs"
	}
	return ""
}

// LimitZstd takes the place of gRPC's zstd, for the whole process.
func LimitZstd() {
	if base := encoding.GetCompressor("zstd"); base != nil {
		encoding.RegisterCompressor(narrow{base})
	}
}

type narrow struct{ encoding.Compressor }

func (narrow) Decompress(from io.Reader) (io.Reader, error) {
	decoder, err := zstd.NewReader(from, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, err
	}
	return closing{decoder}, nil
}

// closing frees the decoder at the end of what it reads.
type closing struct{ decoder *zstd.Decoder }

func (c closing) Read(into []byte) (int, error) {
	n, err := c.decoder.Read(into)
	if err != nil {
		c.decoder.Close()
	}
	return n, err
}
