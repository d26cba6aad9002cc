package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"p11-kms/tests/e2e/plugin"
	"p11-kms/tests/e2e/proc"
	"p11-kms/tests/e2e/report"
)

// How the token is lost and what then happens, each in a cluster of its own.
func TestScenario5_TokenLost(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, health string
		run          func(*testing.T, *report.Result, *cluster)
	}{
		{"hard: writes stop", "{on_token_loss: hard}", tokenMovedHard},
		{"token moved away: coast, then soft", "{on_token_loss: coast, coast: 90s, soft_max: 1h}", tokenMoved},
		{"token process hung", "{on_token_loss: coast, coast: 10m, soft_max: 1h}", tokenHung},
		{"token process killed", "{on_token_loss: coast, coast: 10m, soft_max: 1h}", tokenKilled},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := result(t, "5", "token lost", newest)
			r.Case = c.name
			daemon := startDaemon(t, plugin.Settings{Health: c.health})
			cluster := startCluster(t, newest, daemon)
			must(t, cluster.api.CreateSecrets(0, outageSecrets))
			c.run(t, r, cluster)
			countAll(t, r, daemon)
		})
	}
}

const (
	outageSecrets = 40
	lease         = 3 * time.Minute // of an API server's right to write, from its last good Status
)

// tokenKilled: nobody notices. The restarted API server then wants a new seed sealed and the old one opened.
func tokenKilled(t *testing.T, r *report.Result, c *cluster) {
	traffic := startTraffic(t, c.api, outageSecrets)
	for range 3 {
		must(t, c.daemon.KillToken())
		time.Sleep(3 * time.Second) // of traffic
		must(t, c.daemon.WaitState("OK", patience))
	}
	calls, err := traffic.stop()
	must(t, err)
	r.Fact("token process killed three times: %d reads and writes, none failed", calls)
	must(t, c.api.Restart())
	must(t, c.write())
	must(t, c.api.ReadSecrets(outageSecrets))
}

// tokenHung: every call into the module blocks for longer than a watchdog waits.
func tokenHung(t *testing.T, r *report.Result, c *cluster) {
	traffic := startTraffic(t, c.api, outageSecrets)
	resume, err := c.daemon.HangToken()
	must(t, err)
	err = c.daemon.WaitState("COAST", patience)
	if err == nil {
		_, err = c.api.Readyz()
	}
	must(t, errors.Join(err, resume()))
	back := time.Now()
	must(t, c.daemon.WaitState("OK", patience))
	r.Fact("ok %.1f s after the token answered again", time.Since(back).Seconds())
	calls, err := traffic.stop()
	must(t, err)
	r.Fact("hung until COAST: %d reads and writes, none failed; readyz ok", calls)
}

// tokenMoved: COAST keeps all going, SOFT says so, the token back makes it ok.
func tokenMoved(t *testing.T, r *report.Result, c *cluster) {
	must(t, c.daemon.Token.TakeAway())
	lost := time.Now()
	traffic := startTraffic(t, c.api, outageSecrets)
	must(t, c.daemon.WaitState("COAST", patience))
	_, err := c.api.Readyz()
	must(t, err)
	r.Fact("COAST %.0f s after the loss: Status ok, readyz ok", time.Since(lost).Seconds())
	must(t, c.daemon.WaitState("SOFT", patience))
	r.Fact("SOFT %.0f s after the loss", time.Since(lost).Seconds())
	status, err := c.daemon.Status()
	must(t, err)
	if status.Healthz == "ok" || status.Healthz == "" {
		t.Fatalf("in SOFT Status says %q", status.Healthz)
	}
	r.Fact("Status then says: %s", status.Healthz)
	must(t, c.waitUnready())
	r.Fact("readyz fails %.0f s after the loss", time.Since(lost).Seconds())
	time.Sleep(5 * time.Second)
	calls, err := traffic.stop()
	must(t, err)
	r.Fact("%d reads and writes in COAST and SOFT, none failed", calls)
	r.Quote(c.api.Log(), `kms plugin failed health check probe|kms-providers failed`, 2)
	c.tokenBack(t, r)
}

// tokenMovedHard: a minute after the last proof Status fails, and the API server's write lease runs out.
func tokenMovedHard(t *testing.T, r *report.Result, c *cluster) {
	must(t, c.daemon.Token.TakeAway())
	lost := time.Now()
	must(t, c.daemon.WaitState("HARD", patience))
	hard := time.Now()
	r.Fact("HARD %.0f s after the loss", hard.Sub(lost).Seconds())
	must(t, proc.Until(5*time.Minute, "writes are refused", c.refused))
	after := time.Since(hard)
	r.Fact("writes stop %.0f s after HARD, with %v", after.Seconds(), c.write())
	if after > lease+15*time.Second {
		t.Errorf("writes stopped only after %s", after)
	}
	must(t, c.refused())
	must(t, c.api.ReadSecrets(outageSecrets))
	r.Fact("reads go on")
	r.Quote(c.api.Log(), `expired at`, 1)
	c.tokenBack(t, r)
}

// tokenBack: full service again and no restart by hand.
func (c *cluster) tokenBack(t *testing.T, r *report.Result) {
	t.Helper()
	must(t, c.daemon.Token.BringBack())
	back := time.Now()
	must(t, c.daemon.WaitState("OK", patience))
	r.Fact("token back: daemon OK after %.1f s", time.Since(back).Seconds())
	must(t, c.api.WaitReady())
	must(t, proc.Until(patience, "writes work again", c.write))
	r.Fact("API server ready and writing after %.0f s, nothing was restarted", time.Since(back).Seconds())
	must(t, c.api.ReadSecrets(outageSecrets))
}

func (c *cluster) write() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return c.api.UpdateSecret(ctx, 0, fmt.Sprint(time.Now().UnixNano()))
}

// refused says an error unless a write is refused because the API server's lease has run out.
func (c *cluster) refused() error {
	err := c.write()
	if err == nil || !strings.Contains(err.Error(), "expired at") {
		time.Sleep(time.Second)
		return fmt.Errorf("a write: %v", err)
	}
	return nil
}

func (c *cluster) waitUnready() error {
	return proc.Until(patience, "readyz fails", func() error {
		text, err := c.api.Readyz()
		if err != nil && strings.Contains(text, "[-]kms-providers failed") {
			return nil
		}
		time.Sleep(time.Second)
		return fmt.Errorf("readyz: %.100s: %v", text, err)
	})
}
