package main

import (
	"context"
	"iter"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	api "example.com/shop/gen/frontdesk/conversation/v1"
)

// final holds the codes that another try does not change.
var final = map[codes.Code]bool{
	codes.InvalidArgument: true, codes.NotFound: true, codes.PermissionDenied: true,
	codes.OutOfRange: true, codes.Unimplemented: true,
}

// watchChat yields the entries after a visitor sequence, across lost connections, until a final error or the end of ctx.
// token(renew) returns a token, a new one if renew.
func watchChat(ctx context.Context, visitors api.VisitorServiceClient, chatID string, after int32, token func(renew bool) string) iter.Seq2[*api.ChatEntry, error] {
	return func(yield func(*api.ChatEntry, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		for pause, renew := 250*time.Millisecond, false; ; pause = min(2*pause, 30*time.Second) {
			caller := metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token(renew))
			stream, err := visitors.WatchChat(caller, &api.WatchChatRequest{ChatId: chatID, AfterVisitorSequence: after})
			for err == nil {
				var response *api.WatchChatResponse
				if response, err = stream.Recv(); err != nil {
					break
				}
				pause, renew = 250*time.Millisecond, false
				if entry := response.GetEntry(); entry != nil { // Others are skipped, also those of later versions.
					after = entry.VisitorSequence
					if !yield(entry, nil) {
						return
					}
				}
			}
			refusal := readRefusal(err)
			if final[refusal.Code] || ctx.Err() != nil || renew && refusal.Code == codes.Unauthenticated {
				yield(nil, err)
				return
			}
			renew = refusal.Code == codes.Unauthenticated
			time.Sleep(refusal.RetryDelay + rand.N(pause))
		}
	}
}
