package e2e

import (
	"errors"
	"path/filepath"
	"testing"

	"p11-kms/tests/e2e/plugin"
)

// Whatever is restarted, and with etcd taken from a backup, every Secret is readable.
func TestScenario2_Restarts(t *testing.T) {
	t.Parallel()
	daemon := startDaemon(t, plugin.Settings{})
	for _, version := range versions {
		t.Run(version, func(t *testing.T) { restarts(t, version, daemon) })
	}
}

func restarts(t *testing.T, version string, daemon *plugin.Daemon) {
	const n = 300
	r := result(t, "2", "restarts and a restored etcd", version)
	c := startCluster(t, version, daemon)
	must(t, c.api.CreateSecrets(0, n/2))
	must(t, c.api.Restart()) // a second seed of the API server
	must(t, c.api.CreateSecrets(n/2, n/2))
	snapshot := filepath.Join(c.dir, "snapshot.db")
	must(t, c.etcd.Snapshot(snapshot))
	must(t, c.api.CreateSecrets(n, 1)) // which the backup does not have
	restartPlugin := func() error { return errors.Join(daemon.Stop(), daemon.Start()) }
	steps := []struct {
		what string
		do   func() error
	}{
		{"API server restarted", c.api.Restart},
		{"plugin restarted", restartPlugin},
		{"both restarted", func() error {
			return errors.Join(c.api.Stop(), restartPlugin(), c.api.Start())
		}},
		{"etcd restored from a snapshot", func() error {
			return errors.Join(c.api.Stop(), c.etcd.Stop(), c.etcd.Restore(snapshot), c.etcd.Start(), c.api.Start())
		}},
	}
	for _, step := range steps {
		counted(t, r, daemon, step.what+", 300 Secrets read", func() error {
			return errors.Join(step.do(), c.api.ReadSecrets(n))
		})
	}
	must(t, c.sealed(n)) // and not one more: the restored etcd is that of the backup
}
