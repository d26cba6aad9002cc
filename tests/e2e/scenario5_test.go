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
			calls, err := daemon.Calls()
			must(t, err)
			r.Calls = &calls
		})
	}
}

const outageSecrets = 40

// tokenKilled: nobody notices.
func tokenKilled(t *testing.T, r *report.Result, c *cluster) {
	c.traffic = startTraffic(c, outageSecrets)
	for range 3 {
		must(t, c.daemon.KillToken())
		time.Sleep(3 * time.Second)
		must(t, c.daemon.WaitState("OK", 20*time.Second))
	}
	calls, err := c.traffic.stop()
	must(t, err)
	r.Fact("token process killed three times: %d reads and writes, none failed", calls)
	must(t, c.api.ReadSecrets(outageSecrets))
}

// tokenHung: every call into the module blocks for longer than a watchdog waits.
func tokenHung(t *testing.T, r *report.Result, c *cluster) {
	c.traffic = startTraffic(c, outageSecrets)
	resume, err := c.daemon.HangToken()
	must(t, err)
	err = c.daemon.WaitState("COAST", 100*time.Second)
	if err == nil {
		_, err = c.api.Readyz()
	}
	must(t, errors.Join(err, resume()))
	back := time.Now()
	must(t, c.daemon.WaitState("OK", 30*time.Second))
	r.Fact("ok %.1f s after the token answered again", time.Since(back).Seconds())
	calls, err := c.traffic.stop()
	must(t, err)
	r.Fact("hung until COAST: %d reads and writes, none failed; readyz ok", calls)
}

// tokenMoved: COAST keeps all going, SOFT says so, the token back makes it ok.
func tokenMoved(t *testing.T, r *report.Result, c *cluster) {
	must(t, c.daemon.Token.TakeAway())
	lost := time.Now()
	c.traffic = startTraffic(c, outageSecrets)
	must(t, c.daemon.WaitState("COAST", 80*time.Second))
	_, err := c.api.Readyz()
	must(t, err)
	r.Fact("COAST %.0f s after the loss: Status ok, readyz ok", time.Since(lost).Seconds())
	must(t, c.daemon.WaitState("SOFT", 60*time.Second))
	r.Fact("SOFT %.0f s after the loss", time.Since(lost).Seconds())
	status, err := c.daemon.Status()
	must(t, err)
	r.Fact("Status then says: %s", status.Healthz)
	must(t, c.waitUnready(60*time.Second))
	r.Fact("readyz fails %.0f s after the loss", time.Since(lost).Seconds())
	time.Sleep(5 * time.Second)
	calls, err := c.traffic.stop()
	must(t, err)
	r.Fact("%d reads and writes in COAST and SOFT, none failed", calls)
	r.Quote(c.api.Log(), `kms plugin failed health check probe|kms-providers failed`, 2)
	c.tokenBack(t, r)
}

// tokenMovedHard: a minute after the last proof Status fails, and the API server's write lease runs out.
func tokenMovedHard(t *testing.T, r *report.Result, c *cluster) {
	must(t, c.daemon.Token.TakeAway())
	lost := time.Now()
	must(t, c.daemon.WaitState("HARD", 90*time.Second))
	hard := time.Now()
	r.Fact("HARD %.0f s after the loss", hard.Sub(lost).Seconds())
	must(t, proc.Until(4*time.Minute, "a write is refused", func() error {
		if err := c.write(); err == nil {
			time.Sleep(time.Second)
			return errors.New("still written")
		}
		return nil
	}))
	after := time.Since(hard)
	r.Fact("writes stop %.0f s after HARD, with %v", after.Seconds(), c.write())
	if after > 3*time.Minute+15*time.Second {
		t.Errorf("writes stopped only after %s", after)
	}
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
	must(t, c.daemon.WaitState("OK", 30*time.Second))
	r.Fact("token back: daemon OK after %.1f s", time.Since(back).Seconds())
	must(t, c.api.WaitReady(90*time.Second))
	must(t, proc.Until(90*time.Second, "writes work again", c.write))
	r.Fact("API server ready and writing after %.0f s, nothing was restarted", time.Since(back).Seconds())
	must(t, c.api.ReadSecrets(outageSecrets))
}

func (c *cluster) write() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return c.api.UpdateSecret(ctx, 0, fmt.Sprint(time.Now().UnixNano()))
}

func (c *cluster) waitUnready(limit time.Duration) error {
	return proc.Until(limit, "readyz fails", func() error {
		text, err := c.api.Readyz()
		if err != nil && strings.Contains(text, "[-]kms-providers failed") {
			return nil
		}
		time.Sleep(time.Second)
		return fmt.Errorf("readyz: %.100s: %v", text, err)
	})
}
