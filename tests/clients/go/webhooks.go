package main

import (
	"context"
	"crypto/rand"
	"net/http"
	"strconv"
	"strings"
	"time"

	api "example.com/shop/gen/frontdesk/notification/v1beta1"
)

// postTo has the events of the account posted to the receiver from now on, those of each aggregate in order.
func postTo(ctx context.Context, webhooks api.WebhookServiceClient, token string, receiver *webhookReceiver) (endpointID string) {
	create := &api.CreateWebhookEndpointRequest{Url: receiver.url, Ordered: true, RequestId: rand.Text()}
	created := must(webhooks.CreateWebhookEndpoint(calling(ctx, token), create))
	receiver.verifyWith(created.Secret)
	return created.WebhookEndpoint.Id
}

func stopPosting(ctx context.Context, webhooks api.WebhookServiceClient, token, endpointID string) {
	must(webhooks.DeleteWebhookEndpoint(calling(ctx, token), &api.DeleteWebhookEndpointRequest{WebhookEndpointId: endpointID}))
}

// playForged sends the receiver a request with a signature of somebody else, which it refuses.
func playForged(receiver *webhookReceiver) {
	request := must(http.NewRequest(http.MethodPost, receiver.url, strings.NewReader("{}")))
	request.Header.Set("webhook-id", rand.Text())
	request.Header.Set("webhook-timestamp", strconv.FormatInt(time.Now().Unix(), 10))
	request.Header.Set("webhook-signature", "v1,"+strings.Repeat("A", 43)+"=")
	answer := must(http.DefaultClient.Do(request))
	answer.Body.Close()
	expect(answer.StatusCode, http.StatusUnauthorized)
}
