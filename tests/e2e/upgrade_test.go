package e2e

import (
	"strings"
	"testing"

	"p11-kms/tests/e2e/plugin"
)

// The API server is upgraded over one etcd and one running daemon.
func TestUpgrade_OverOneEtcd(t *testing.T) {
	t.Parallel()
	const n = 100
	path := []string{"1.28.15", "1.33.13", newest}
	r := result(t, "upgrade", "upgrade "+strings.Join(path, " → ")+" over one etcd, same daemon", newest)
	daemon := startDaemon(t, plugin.Settings{})
	c := newCluster(t, path[0], daemon)
	for i, version := range path {
		c.api.Version = version
		counted(t, r, daemon, "upgrade to "+version, func() error {
			if err := c.api.Start(); err != nil {
				return err
			}
			if err := c.api.ReadSecrets(i * n); err != nil {
				return err
			}
			return c.api.CreateSecrets(i*n, n)
		})
		must(t, c.api.ReadSecrets((i+1)*n))
		must(t, c.sealed((i+1)*n))
		must(t, c.api.Stop())
	}
	status, err := daemon.Status()
	must(t, err)
	must(t, c.onlyUnder(status.KeyID))
	r.Fact("all %d Secrets readable at each step, all under %s", len(path)*n, status.KeyID)
}
