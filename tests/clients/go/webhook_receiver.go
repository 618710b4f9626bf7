package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// maxWebhookBytes is the maximum size of a request that is read, in bytes. Events have no text, and are smaller.
const maxWebhookBytes = 1 << 20

// postedEvent is the JSON of an event that a webhook brings, without its data. It needs no stubs.
type postedEvent struct {
	ID            string `json:"id"`
	Type          string `json:"type"`
	AggregateType string `json:"aggregateType"`
	AggregateID   string `json:"aggregateId"`
	Version       int32  `json:"version"`
}

// webhookReceiver is an http.Handler that verifies each request, and hands its event on.
type webhookReceiver struct {
	// verifier has the secret of the endpoint. Without one all requests are refused.
	verifier atomic.Pointer[standardwebhooks.Webhook]
	// handle gets each event, and the bytes that came.
	handle func(event postedEvent, body []byte)
	url    string
}

// listenForWebhooks receives webhooks on a free port of this machine.
func listenForWebhooks(handle func(event postedEvent, body []byte)) *webhookReceiver {
	listener := must(net.Listen("tcp", "127.0.0.1:0"))
	receiver := &webhookReceiver{handle: handle, url: "http://" + listener.Addr().String() + "/frontdesk"}
	server := &http.Server{Handler: receiver, ReadTimeout: 10 * time.Second}
	go func() { fail(server.Serve(listener)) }()
	return receiver
}

// verifyWith sets the secret of the endpoint, from CreateWebhookEndpoint.
func (r *webhookReceiver) verifyWith(secret string) {
	r.verifier.Store(must(standardwebhooks.NewWebhook(secret)))
}

func (r *webhookReceiver) ServeHTTP(answer http.ResponseWriter, request *http.Request) {
	answer.WriteHeader(r.receive(answer, request))
}

// receive returns the status of the answer.
func (r *webhookReceiver) receive(answer http.ResponseWriter, request *http.Request) int {
	// The signature is of these bytes: verify them before anything reads the JSON.
	body, err := io.ReadAll(http.MaxBytesReader(answer, request.Body, maxWebhookBytes))
	if err != nil {
		return http.StatusRequestEntityTooLarge
	}
	verifier := r.verifier.Load()
	if verifier == nil || verifier.Verify(body, request.Header) != nil {
		return http.StatusUnauthorized
	}
	var event postedEvent
	if json.Unmarshal(body, &event) != nil {
		return http.StatusBadRequest
	}
	// It has ten seconds. Work that takes longer is stored here, and done afterwards.
	r.handle(event, body)
	return http.StatusNoContent
}
