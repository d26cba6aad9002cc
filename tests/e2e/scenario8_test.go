package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"p11-kms/tests/e2e/kube"
	"p11-kms/tests/e2e/plugin"
	"p11-kms/tests/e2e/report"
)

// Orders of starting, and an API server that is not root.
func TestScenario8_OrdersOfStarting(t *testing.T) {
	t.Parallel()
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			for _, c := range []struct {
				name string
				run  func(*testing.T, *report.Result, string)
			}{
				{"API server not root", otherUser},
				{"plugin after API server", pluginLast},
				{"reboot, socket activation", reboot},
			} {
				t.Run(c.name, func(t *testing.T) {
					r := result(t, "8", "orders of starting", version)
					r.Case = c.name
					c.run(t, r, version)
				})
			}
		})
	}
}

const (
	bootSecrets = 20
	nobody      = 65534
)

// otherUser: the API server runs as nobody; the daemon refuses it until allowed_uids names it.
func otherUser(t *testing.T, r *report.Result, version string) {
	daemon := startDaemon(t, plugin.Settings{Mode: "0666"})
	c := newCluster(t, version, daemon)
	allow := func(uid uint32) error {
		settings := plugin.Settings{Mode: "0666", AllowedUIDs: fmt.Sprintf("[%d]", uid)}
		return errors.Join(daemon.Configure(settings), daemon.Reload())
	}
	must(t, allow(0))
	uid := uint32(os.Getuid())
	if uid == 0 {
		uid = nobody
		c.api.UID = nobody
		c.api.Programs = openCopy(t, c.api, version)
	}
	must(t, c.api.Launch())
	must(t, c.waitUnready())
	r.Quote(c.api.Log(), `PermissionDenied`, 1)
	must(t, allow(uid))
	allowed := time.Now()
	must(t, c.api.WaitReady())
	r.Fact("uid %d: refused until allowed_uids named it; then ready after %.0f s, nothing was restarted", uid, time.Since(allowed).Seconds())
	counted(t, r, daemon, "Secrets written and read", func() error {
		return errors.Join(c.api.CreateSecrets(0, bootSecrets), c.api.ReadSecrets(bootSecrets))
	})
	must(t, c.sealed(bootSecrets))
}

// openCopy is a copy of the program in a folder that any user may enter.
func openCopy(t *testing.T, api *kube.APIServer, version string) string {
	t.Helper()
	to := filepath.Join(api.Dir, "kube-"+version)
	must(t, os.Mkdir(to, 0o755))
	program, err := os.ReadFile(filepath.Join(api.Programs, "kube-"+version, "kube-apiserver"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(to, "kube-apiserver"), program, 0o755))
	return api.Dir
}

// pluginLast: the API server is up before the plugin, on a new node and again with Secrets in etcd.
func pluginLast(t *testing.T, r *report.Result, version string) {
	daemon := newDaemon(t, plugin.Settings{})
	c := newCluster(t, version, daemon)
	must(t, c.api.Launch())
	must(t, c.waitUnready())
	r.Fact("the API server alone: %s", c.firstRead())
	must(t, daemon.Start())
	started := time.Now()
	must(t, c.api.WaitReady())
	r.Fact("ready %.0f s after the plugin", time.Since(started).Seconds())
	must(t, c.api.CreateSecrets(0, bootSecrets))

	must(t, errors.Join(daemon.Stop(), c.api.Stop(), c.api.Launch()))
	must(t, c.waitUnready())
	r.Fact("restarted while the plugin is down: %s", c.firstRead())
	r.Quote(c.api.Log(), `failed to create connection to unix socket|got unexpected nil transformer`, 2)
	counted(t, r, daemon, "plugin started, Secrets read", func() error {
		started = time.Now()
		return errors.Join(daemon.Start(), c.api.WaitReady(), c.api.ReadSecrets(bootSecrets))
	})
	r.Fact("ready again and all Secrets read %.0f s after the plugin was started", time.Since(started).Seconds())
}

// reboot: nothing runs but the listening socket of systemd; the API server's first call starts the daemon.
func reboot(t *testing.T, r *report.Result, version string) {
	daemon := startDaemon(t, plugin.Settings{})
	c := startCluster(t, version, daemon)
	must(t, c.api.CreateSecrets(0, bootSecrets))
	must(t, errors.Join(c.api.Stop(), daemon.Stop(), c.etcd.Stop()))

	_ = os.Remove(daemon.Socket)
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: daemon.Socket, Net: "unix"})
	must(t, err)
	listener.SetUnlinkOnClose(false)
	defer listener.Close()
	must(t, os.Chmod(daemon.Socket, 0o600))
	counted(t, r, daemon, "from nothing running to all Secrets read", func() error {
		booted := time.Now()
		if err := errors.Join(c.etcd.Start(), c.api.Launch(), waitCalled(listener)); err != nil {
			return err
		}
		r.Fact("first call %.1f s after the boot; it starts the daemon", time.Since(booted).Seconds())
		err := errors.Join(daemon.LaunchOn(listener), c.api.WaitReady(), c.api.ReadSecrets(bootSecrets))
		r.Fact("all Secrets read %.1f s after the boot", time.Since(booted).Seconds())
		return err
	})
}

// firstRead is what a user gets who reads a Secret now.
func (c *cluster) firstRead() string {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := c.api.ReadSecret(ctx, 0); err != nil {
		return err.Error()
	}
	return "the Secret"
}

// waitCalled waits until somebody has connected, and leaves the connection in the queue.
func waitCalled(listener *net.UnixListener) error {
	file, err := listener.File()
	if err != nil {
		return fmt.Errorf("listening socket: %w", err)
	}
	defer file.Close()
	ready := []unix.PollFd{{Fd: int32(file.Fd()), Events: unix.POLLIN}}
	for end := time.Now().Add(patience); time.Now().Before(end); {
		n, err := unix.Poll(ready, 1000)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("poll: %w", err)
		}
		if n == 1 {
			return nil
		}
	}
	return errors.New("nobody has called")
}
