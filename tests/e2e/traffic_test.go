package e2e

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"p11-kms/tests/e2e/kube"
)

// traffic reads and writes Secrets without pause and remembers every failure.
type traffic struct {
	cancel   context.CancelFunc
	ended    sync.WaitGroup
	mutex    sync.Mutex
	calls    int
	writes   int
	failures []error
}

// startTraffic reads all of n Secrets in turn, and updates the last quarter of them; the others keep the key_id
// that they were made under.
func startTraffic(t *testing.T, api *kube.APIServer, n int) *traffic {
	t.Helper()
	return startTrafficOn(t, api, n, n-n/4, n/4)
}

// startTrafficOn reads the first n Secrets and updates count of them from first on, until the test ends at most.
func startTrafficOn(t *testing.T, api *kube.APIServer, n, first, count int) *traffic {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w := &traffic{cancel: cancel}
	t.Cleanup(func() { _, _ = w.stop() })
	w.ended.Add(2)
	go w.loop(ctx, false, func(ctx context.Context, i int) error { return api.ReadSecret(ctx, i%n) })
	go w.loop(ctx, true, func(ctx context.Context, i int) error {
		return api.UpdateSecret(ctx, first+i%count, fmt.Sprint(i))
	})
	return w
}

func (w *traffic) loop(ctx context.Context, writes bool, call func(context.Context, int) error) {
	defer w.ended.Done()
	for i := 0; ctx.Err() == nil; i++ {
		limited, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		start := time.Now()
		err := call(limited, i)
		cancel()
		w.mutex.Lock()
		w.calls++
		if writes {
			w.writes++
		}
		if err != nil {
			w.failures = append(w.failures, fmt.Errorf("at %s: %w", start.Format("15:04:05.000"), err))
		}
		w.mutex.Unlock()
		time.Sleep(20 * time.Millisecond)
	}
}

// stop ends the traffic and says how many calls there were and which failed.
func (w *traffic) stop() (int, error) {
	w.cancel()
	w.ended.Wait()
	if len(w.failures) == 0 {
		return w.calls, nil
	}
	return w.calls, fmt.Errorf("%d of %d calls failed: %w", len(w.failures), w.calls,
		errors.Join(w.failures[:min(3, len(w.failures))]...))
}
