package e2e

import (
	"testing"
	"time"

	"p11-kms/tests/e2e/plugin"
)

// KMS v1 on a current version: every object has a DEK of its own, and a cold list opens all of them in turn.
// It takes times, so nothing else runs beside it.
func TestScenario7_ColdListOfV1(t *testing.T) {
	const n = 2000
	r := result(t, "7", "KMS v1, cold LIST of 2000 Secrets", newest)
	daemon := startDaemon(t, plugin.Settings{})
	c := newCluster(t, newest, daemon)
	example(t, "v1-to-v2/1-before.yaml", c.dir, daemon.Socket)
	api := c.api
	api.Args = []string{kmsV1}
	must(t, api.Start())
	counted(t, r, daemon, "2000 Secrets created", func() error { return api.CreateSecrets(0, n) })
	counted(t, r, daemon, "API server restarted, 2000 Secrets listed", func() error {
		start := time.Now()
		if err := api.Restart(); err != nil {
			return err
		}
		r.Fact("ready after %.1f s: its watch cache has opened all 2000", time.Since(start).Seconds())
		took, err := api.ListSecrets(n)
		r.Fact("LIST from the watch cache: %d ms", took.Milliseconds())
		return err
	})
	api.Args = append(api.Args, "--watch-cache=false")
	must(t, api.Restart())
	counted(t, r, daemon, "2000 Secrets listed, nothing cached", func() error {
		took, err := api.ListSecrets(n)
		r.Fact("cold LIST without a watch cache, one Decrypt per Secret in turn: %d ms", took.Milliseconds())
		return err
	})
	r.Quote(api.Log(), `KMSv1 is deprecated`, 1)
}

const kmsV1 = "--feature-gates=KMSv1=true"
