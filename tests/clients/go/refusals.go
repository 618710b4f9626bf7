package main

import (
	"context"
	"crypto/rand"
	"time"

	"google.golang.org/grpc/codes"

	api "example.com/shop/gen/frontdesk/conversation/v1"
)

// playInvalid has a message refused whose fields are invalid, and reads which.
func playInvalid(ctx context.Context, page *widget) {
	_, err := page.client.SendMessage(calling(ctx, page.token), &api.SendMessageRequest{ChatId: "x", Text: "\x01", RequestId: rand.Text()})
	invalid := refused(err)
	expect(invalid.Code, codes.InvalidArgument)
	expect(invalid.Reason, "INVALID_FIELDS")
	expect(invalid.Fields, []string{"chat_id", "text"})
}

// playTooOften calls until the rate limit of the visitor refuses a call, and waits for as long as the refusal says.
func playTooOften(ctx context.Context, page *widget) {
	caller := calling(ctx, page.token)
	for calls := 1; calls <= 2000; calls++ {
		_, err := page.client.GetWidget(caller, &api.GetWidgetRequest{ChannelId: page.channelID})
		if err == nil {
			continue
		}
		limited := refused(err)
		expect(limited.Code, codes.ResourceExhausted)
		expect(limited.Reason, "RATE_LIMITED")
		expect(limited.Metadata["whose"], "caller")
		expect(limited.RetryDelay > 0, true)
		time.Sleep(limited.RetryDelay)
		must(page.client.GetWidget(caller, &api.GetWidgetRequest{ChannelId: page.channelID}))
		return
	}
	fail("2000 calls were within the rate limit")
}
