package main

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"time"
)

// eventLog is what a program got of the events, by one of the ways.
type eventLog struct {
	lock     sync.Mutex
	ids      map[string]bool
	versions map[string][]int32
	contents [][]byte
}

func newEventLog() *eventLog {
	return &eventLog{ids: map[string]bool{}, versions: map[string][]int32{}}
}

// add handles an event once. In your program the id is stored in the transaction of the effect.
func (l *eventLog) add(id, aggregateID string, version int32, content []byte) {
	l.lock.Lock()
	defer l.lock.Unlock()
	l.contents = append(l.contents, content)
	if !l.ids[id] { // Every event can come again.
		l.ids[id] = true
		l.versions[aggregateID] = append(l.versions[aggregateID], version)
	}
}

func (l *eventLog) seen(aggregateID string) []int32 {
	l.lock.Lock()
	defer l.lock.Unlock()
	return slices.Clone(l.versions[aggregateID])
}

// expectAll waits for the events of an aggregate up to a version. Each came, and in order.
func (l *eventLog) expectAll(ctx context.Context, aggregateID string, version int32) {
	seen := l.seen(aggregateID)
	for ; !slices.Contains(seen, version); seen = l.seen(aggregateID) {
		if ctx.Err() != nil {
			fail(seen)
		}
		time.Sleep(50 * time.Millisecond)
	}
	for at, version := range seen {
		expect(version, int32(at+1))
	}
}

// expectNone says that no event contains one of the words.
func (l *eventLog) expectNone(words ...string) {
	l.lock.Lock()
	defer l.lock.Unlock()
	for _, word := range words {
		for _, content := range l.contents {
			if bytes.Contains(content, []byte(word)) {
				fail("an event contains " + word)
			}
		}
	}
}
