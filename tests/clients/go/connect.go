package main

import (
	"context"
	_ "embed"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

// Published with the protos: which calls are repeated, after which codes and pauses. Writes have a request id, so a repeat is safe.
//
//go:embed protos/service_config.json
var serviceConfig string

func connect(address string) *grpc.ClientConn {
	credentials := grpc.WithTransportCredentials(insecure.NewCredentials())
	return must(grpc.NewClient(address, credentials, grpc.WithDefaultServiceConfig(serviceConfig)))
}

// calling returns a context whose calls carry the token.
func calling(ctx context.Context, token string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
}
