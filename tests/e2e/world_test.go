// Package e2e runs p11-kmsd against the kube-apiserver and etcd that users run. scripts/e2e builds them and
// starts these tests; each scenario writes what it saw into a report file.
package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"p11-kms/tests/e2e/etcd"
	"p11-kms/tests/e2e/kube"
	"p11-kms/tests/e2e/pki"
	"p11-kms/tests/e2e/plugin"
	"p11-kms/tests/e2e/report"
)

const (
	newest   = "1.37.2"
	patience = kube.Patience
)

var versions = []string{newest, "1.33.13", "1.28.15"}

// place is where the programs and results of this run are; scripts/e2e says so.
type place struct {
	source, programs, servers, out, work string
}

func here(t *testing.T) place {
	t.Helper()
	source, err := filepath.Abs("../..")
	must(t, err)
	p := place{source, os.Getenv("P11KMS_BIN"), os.Getenv("P11KMS_E2E_SERVERS"), os.Getenv("P11KMS_E2E_OUT"), os.Getenv("P11KMS_E2E_WORK")}
	if p.programs == "" || p.servers == "" || p.out == "" || p.work == "" {
		t.Fatal("P11KMS_BIN and P11KMS_E2E_* are not set: run scripts/e2e")
	}
	return p
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// folder is a new one that any user may enter, short enough for a socket path. When the test fails its logs
// and configurations are kept with the results.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(here(t).work, "")
	must(t, err)
	must(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() {
		if t.Failed() {
			keep(t, dir)
		}
		_ = os.RemoveAll(dir)
	})
	return dir
}

func keep(t *testing.T, dir string) {
	to := filepath.Join(here(t).out, "logs", strings.ReplaceAll(t.Name(), "/", "-"))
	_ = os.MkdirAll(to, 0o755)
	for _, pattern := range []string{"*.log", "*.yaml"} {
		paths, _ := filepath.Glob(filepath.Join(dir, pattern))
		for _, path := range paths {
			if text, err := os.ReadFile(path); err == nil {
				_ = os.WriteFile(filepath.Join(to, filepath.Base(path)), text, 0o644)
			}
		}
	}
	t.Logf("logs are kept in %s", to)
}

// result is written when the test ends, with the outcome.
func result(t *testing.T, scenario, title, version string) *report.Result {
	t.Helper()
	r := report.New(scenario, title, version)
	out := filepath.Join(here(t).out, "report")
	t.Cleanup(func() {
		for _, fact := range r.Facts {
			t.Log(fact)
		}
		if err := r.Write(out, !t.Failed()); err != nil {
			t.Error(err)
		}
	})
	return r
}

// startEtcd runs an etcd in a folder until the test ends.
func startEtcd(t *testing.T, dir string) *etcd.Server {
	t.Helper()
	files, err := pki.Make(dir)
	must(t, err)
	server, err := etcd.New(filepath.Join(here(t).servers, "etcd"), dir, files)
	must(t, err)
	t.Cleanup(func() { stop(t, server) })
	must(t, server.Start())
	return server
}

// newDaemon makes a token, its first KEK and a daemon that is not running yet.
func newDaemon(t *testing.T, settings plugin.Settings) *plugin.Daemon {
	t.Helper()
	p, dir := here(t), folder(t)
	token, err := plugin.NewToken(p.source, dir)
	must(t, err)
	daemon, err := plugin.NewDaemon(p.programs, dir, "kms", token, settings)
	must(t, err)
	must(t, daemon.Init(false))
	t.Cleanup(func() { stop(t, daemon) })
	return daemon
}

func startDaemon(t *testing.T, settings plugin.Settings) *plugin.Daemon {
	t.Helper()
	daemon := newDaemon(t, settings)
	must(t, daemon.Start())
	return daemon
}

// newAPIServer prepares an API server that is stopped when the test ends.
func newAPIServer(t *testing.T, name string, c kube.Config) *kube.APIServer {
	t.Helper()
	c.Programs = here(t).servers
	if c.Prefix == "" {
		c.Prefix = "/registry"
	}
	server, err := kube.NewAPIServer(name, c)
	must(t, err)
	t.Cleanup(func() { stop(t, server) })
	return server
}

type stopper interface{ Stop() error }

func stop(t *testing.T, server stopper) {
	t.Helper()
	if err := server.Stop(); err != nil {
		t.Error(err)
	}
}

// cluster is one etcd and one API server that seals Secrets with a daemon.
type cluster struct {
	dir    string
	etcd   *etcd.Server
	api    *kube.APIServer
	daemon *plugin.Daemon
}

// newCluster prepares an API server of a version with ours as the only provider of Secrets.
func newCluster(t *testing.T, version string, daemon *plugin.Daemon) *cluster {
	t.Helper()
	dir := folder(t)
	c := &cluster{dir: dir, etcd: startEtcd(t, dir), daemon: daemon}
	c.api = newAPIServer(t, "kube-apiserver", kube.Config{
		Version: version, Dir: dir, Etcd: c.etcd, Encryption: example(t, "identity-to-kms/4-only.yaml", dir, daemon.Socket),
	})
	return c
}

func startCluster(t *testing.T, version string, daemon *plugin.Daemon) *cluster {
	t.Helper()
	c := newCluster(t, version, daemon)
	must(t, c.api.Start())
	return c
}

// example copies an EncryptionConfiguration of deploy/examples with the socket of the test in it.
func example(t *testing.T, name, dir, socket string) string {
	t.Helper()
	path := filepath.Join(dir, "encryption.yaml")
	must(t, writeExample(here(t).source, name, path, socket))
	return path
}

func writeExample(source, name, path, socket string) error {
	text, err := os.ReadFile(filepath.Join(source, "deploy", "examples", name))
	if err != nil {
		return fmt.Errorf("example: %w", err)
	}
	changed := strings.ReplaceAll(string(text), "unix:///run/p11-kms/kms.sock", "unix://"+socket)
	// Renamed into place: an API server that watches the file never sees half of it.
	if err := os.WriteFile(path+".new", []byte(changed), 0o644); err != nil {
		return fmt.Errorf("example: %w", err)
	}
	return os.Rename(path+".new", path)
}

const secretsKey = "/registry/secrets/"

// onlyUnder says an error unless every Secret in etcd is under one key_id.
func (c *cluster) onlyUnder(keyID string) error {
	ids, err := c.keyIDs()
	if err != nil {
		return err
	}
	if len(ids) != 1 || ids[keyID] == 0 {
		return fmt.Errorf("not all Secrets are under %s: %v", keyID, ids)
	}
	return nil
}

// keyIDs counts the raw values of Secrets by the key_id that p11-kmsctl inspect finds in them.
func (c *cluster) keyIDs() (map[string]int, error) {
	values, err := c.etcd.Values(secretsKey)
	if err != nil {
		return nil, err
	}
	found := map[string]int{}
	for key, value := range values {
		id, err := c.daemon.Inspect(value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		found[id]++
	}
	return found, nil
}

// counted runs a step and adds the token calls that it caused to a result.
func counted(t *testing.T, r *report.Result, daemon *plugin.Daemon, what string, step func() error) {
	t.Helper()
	before, err := daemon.Calls()
	must(t, err)
	must(t, step())
	after, err := daemon.Calls()
	must(t, err)
	calls := after.Minus(before)
	if r.Calls == nil {
		r.Calls = &plugin.Calls{}
	}
	*r.Calls = r.Calls.Plus(calls)
	r.Fact("%s: token calls: %s", what, calls)
}

// countAll gives a result all token calls of these daemons.
func countAll(t *testing.T, r *report.Result, daemons ...*plugin.Daemon) {
	t.Helper()
	r.Calls = &plugin.Calls{}
	for _, daemon := range daemons {
		calls, err := daemon.Calls()
		must(t, err)
		*r.Calls = r.Calls.Plus(calls)
	}
}
