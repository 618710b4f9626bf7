package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	actor "example.com/shop/gen/frontdesk/actor/v1"
	bots "example.com/shop/gen/frontdesk/botsession/v1"
)

// engine is a bot as a program: it takes the turns of its bot's sessions, a limited number at a time, and answers them.
type engine struct {
	client   bots.BotEngineServiceClient
	token    string
	maxTurns int
	// answer answers a turn with send. Its ctx ends when the turn is over.
	answer func(ctx context.Context, turn *bots.Turn) error

	running sync.WaitGroup
	mutex   sync.Mutex
	// working has what ends the work on each turn, by attempt.
	working map[string]context.CancelFunc
	// opened is the number of streams that have sent something.
	opened int
}

// run watches the turns, across lost connections, until ctx ends or the bot has no engine any more.
func (e *engine) run(ctx context.Context) error {
	e.working = map[string]context.CancelFunc{}
	defer e.running.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for pause := 250 * time.Millisecond; ; pause = min(2*pause, 30*time.Second) {
		err := e.watch(ctx, &pause)
		refusal := readRefusal(err)
		if final[refusal.Code] || refusal.Reason == "BOT_HAS_NO_ENGINE" || ctx.Err() != nil {
			return err
		}
		time.Sleep(refusal.RetryDelay + mathrand.N(pause))
	}
}

// watch reads one stream. Turns that were leased to the stream before are still worked on, and count.
func (e *engine) watch(ctx context.Context, pause *time.Duration) error {
	free := e.maxTurns - e.count()
	if free <= 0 {
		return nil // Ask again when a turn has ended: 0 would mean the default.
	}
	stream, err := e.client.WatchTurns(e.calling(ctx), &bots.WatchTurnsRequest{MaxTurns: int32(free)})
	if err != nil {
		return err
	}
	for first := true; ; first = false {
		response, err := stream.Recv()
		if err != nil {
			return err
		}
		*pause = 250 * time.Millisecond
		if first {
			e.mutex.Lock()
			e.opened++
			e.mutex.Unlock()
		}
		switch update := response.Update.(type) { // Others are skipped, also those of later versions.
		case *bots.WatchTurnsResponse_Turn:
			e.start(ctx, update.Turn)
		case *bots.WatchTurnsResponse_TurnOver:
			e.stop(key(update.TurnOver.TurnId, update.TurnOver.Attempt))
		}
	}
}

func (e *engine) start(ctx context.Context, turn *bots.Turn) {
	ctx, cancel := context.WithCancel(ctx)
	attempt := key(turn.Id, turn.Attempt)
	e.mutex.Lock()
	e.working[attempt] = cancel
	e.mutex.Unlock()
	e.running.Add(1)
	go func() {
		defer e.running.Done()
		defer e.stop(attempt)
		if err := e.answer(ctx, turn); err != nil {
			log.Println("turn", turn.Number, "was not answered:", err) // It is sent again, or goes to the team.
		}
	}()
}

func (e *engine) stop(attempt string) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	if cancel, known := e.working[attempt]; known {
		cancel()
		delete(e.working, attempt)
	}
}

func (e *engine) count() int {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	return len(e.working)
}

// send answers a turn, or sends a part of the answer. After a lost response it repeats the call with its request id.
func (e *engine) send(ctx context.Context, turn *bots.Turn, endsTurn bool, parts ...*bots.TurnPart) error {
	request := &bots.AnswerTurnRequest{TurnId: turn.Id, Attempt: turn.Attempt, Parts: parts, EndsTurn: endsTurn, RequestId: rand.Text()}
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		call, cancel := context.WithTimeout(e.calling(ctx), 10*time.Second)
		_, err := e.client.AnswerTurn(call, request)
		cancel()
		if err == nil {
			return nil
		}
		refusal := readRefusal(err)
		if ctx.Err() != nil || refusal.Code != codes.Unavailable && refusal.Code != codes.DeadlineExceeded {
			return err
		}
		time.Sleep(refusal.RetryDelay + mathrand.N(pause))
	}
}

// asked returns what the visitor wrote since the previous turn.
func (e *engine) asked(ctx context.Context, turn *bots.Turn) ([]string, error) {
	var texts []string
	for after, more := turn.PreviousSequence, true; more; {
		request := &bots.ListTurnEntriesRequest{TurnId: turn.Id, AfterSequence: after}
		page, err := e.client.ListTurnEntries(e.calling(ctx), request)
		if err != nil {
			return nil, err
		}
		for _, entry := range page.Entries {
			isAsked := entry.GetAuthor().GetKind() == actor.ActorKind_ACTOR_KIND_VISITOR && entry.Sequence <= turn.LastSequence
			if isAsked && entry.GetMessage() != nil {
				texts = append(texts, entry.GetMessage().Text)
			}
		}
		after, more = page.LastSequence, page.HasMore
	}
	return texts, nil
}

func (e *engine) calling(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+e.token)
}

func key(turnID string, attempt int32) string {
	return fmt.Sprintf("%s/%d", turnID, attempt)
}

func say(text string) *bots.TurnPart {
	return &bots.TurnPart{Part: &bots.TurnPart_Message{Message: &bots.TurnMessage{Text: text}}}
}

func handOff(reason string) *bots.TurnPart {
	return &bots.TurnPart{Part: &bots.TurnPart_HandOff{HandOff: &bots.TurnHandOff{Reason: reason}}}
}
