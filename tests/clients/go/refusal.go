package main

import (
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Refusal is what a program decides by, from the details of an error.
type Refusal struct {
	Code       codes.Code
	Domain     string
	Reason     string
	Metadata   map[string]string
	Fields     []string
	RetryDelay time.Duration
}

func readRefusal(err error) Refusal {
	refused := status.Convert(err)
	refusal := Refusal{Code: refused.Code()}
	for _, detail := range refused.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			refusal.Domain, refusal.Reason, refusal.Metadata = detail.Domain, detail.Reason, detail.Metadata
		case *errdetails.RetryInfo:
			refusal.RetryDelay = detail.RetryDelay.AsDuration()
		case *errdetails.BadRequest:
			for _, violation := range detail.FieldViolations {
				refusal.Fields = append(refusal.Fields, violation.Field)
			}
		}
	}
	return refusal
}
