package durable

import (
	"context"
	"net/http"

	"go.opentelemetry.io/collector/extension/extensionmiddleware"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

var _ extensionmiddleware.GRPCClient = witness{}

func (witness) GetGRPCClientOptions(context.Context) ([]grpc.DialOption, error) {
	return []grpc.DialOption{grpc.WithChainUnaryInterceptor(hideInRPC)}, nil
}

// hideInRPC is hideKeys for a call: in the answer, and in the status of one that fails. An
// authenticator adds its header after the interceptors; what the config itself sends is seen here.
func hideInRPC(
	ctx context.Context, method string, request, reply any, connection *grpc.ClientConn,
	call grpc.UnaryInvoker, options ...grpc.CallOption,
) error {
	outgoing, _ := metadata.FromOutgoingContext(ctx)
	sent := http.Header(outgoing)
	codec := discreet{encoding.GetCodecV2("proto"), sent}
	err := call(ctx, method, request, reply, connection, append(options, grpc.ForceCodecV2(codec))...)
	said, is := status.FromError(err)
	if err == nil || !is {
		return err
	}
	hidden := said.Proto()
	message := []byte(hidden.Message)
	hideKeys(message, sent)
	hidden.Message = string(message)
	for _, detail := range hidden.Details {
		hideKeys(detail.Value, sent)
	}
	return status.ErrorProto(hidden)
}

// discreet decodes answers without the keys that they repeat.
type discreet struct {
	encoding.CodecV2
	sent http.Header
}

func (d discreet) Unmarshal(data mem.BufferSlice, into any) error {
	answer := data.Materialize()
	hideKeys(answer, d.sent)
	return d.CodecV2.Unmarshal(mem.BufferSlice{mem.SliceBuffer(answer)}, into)
}
