package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"p11-kms/tests/e2e/kube"
	"p11-kms/tests/e2e/plugin"
	"p11-kms/tests/e2e/proc"
	"p11-kms/tests/e2e/report"
)

// migration is a folder of deploy/examples: before, read, write, only.
type migration struct {
	folder string
	from   string // how a raw value begins before
	to     string // and after
	args   []string
	reload bool
}

const (
	plainValue = "k8s\x00"
	oursV2     = "k8s:enc:kms:v2:p11-kms:"
)

var allMigrations = []migration{
	{folder: "identity-to-kms", from: plainValue, to: oursV2},
	{folder: "aescbc-to-kms", from: "k8s:enc:aescbc:v1:key1:", to: oursV2},
	{folder: "secretbox-to-kms", from: "k8s:enc:secretbox:v1:key1:", to: oursV2},
	{folder: "aesgcm-to-kms", from: "k8s:enc:aesgcm:v1:key1:", to: oursV2},
	{folder: "v1-to-v2", from: "k8s:enc:kms:v1:p11-kms-v1:", to: oursV2, args: []string{kmsV1}},
	{folder: "kms-to-identity", from: oursV2, to: plainValue},
	{folder: "wildcard", from: plainValue, to: oursV2},
	{folder: "custom-resource", from: plainValue, to: oursV2},
	{folder: "identity-to-kms", from: plainValue, to: oursV2, reload: true},
}

const perStep = 15

// From whatever there was to ours and back: every object is readable at each step.
func TestScenario6_Migrations(t *testing.T) {
	t.Parallel()
	shared := startEtcd(t, folder(t))
	for i, m := range allMigrations {
		name := m.folder
		if m.reload {
			name += " by automatic reload"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := result(t, "6", "migrations", newest)
			r.Case = name
			c := &cluster{dir: folder(t), etcd: shared, daemon: startDaemon(t, plugin.Settings{})}
			c.api = newAPIServer(t, "kube-apiserver", kube.Config{
				Version: newest, Dir: c.dir, Etcd: shared, Prefix: fmt.Sprintf("/m%d", i),
				Encryption: c.dir + "/encryption.yaml", Reload: m.reload, Args: m.args,
			})
			c.migrate(t, r, m)
			countAll(t, r, c.daemon)
		})
	}
}

func (c *cluster) migrate(t *testing.T, r *report.Result, m migration) {
	for i, step := range m.steps() {
		must(t, c.takeStep(t, m, step, i))
		if m.widgets() && i == 0 {
			must(t, c.api.DefineWidgets())
		}
		n := (i + 1) * perStep
		must(t, c.read(m, n-perStep))
		must(t, c.create(m, n-perStep))
		must(t, c.read(m, n))
		if step == "3-write" {
			if !m.reload {
				must(t, c.readByTheOthers(t, m, n))
			}
			must(t, c.rewriteAll(m, n))
			must(t, c.read(m, n))
		}
		begins := m.from
		if i >= 2 {
			begins = m.to
		}
		must(t, c.newestBegins(n-1, begins))
		r.Fact("%s/%s.yaml: all %d readable; new Secrets begin with %q", m.folder, step, n, begins)
	}
	must(t, c.allBegin("secrets/default/", m.to))
	if m.widgets() {
		must(t, c.allBegin("example.com/widgets/default/", m.to))
	}
	if m.folder == "wildcard" {
		must(t, c.checkExempt())
		r.Fact("every object of the API rewritten; plain are only keys with one of %q", stayPlain)
		r.Fact("a ConfigMap, exempt, stays plain; a ServiceAccount, under the wildcard, begins with %q", m.to)
	}
	if m.reload {
		r.Quote(c.api.Log(), `Loaded new kms encryption config content`, 1)
	}
}

func (m migration) widgets() bool { return m.folder == "custom-resource" }

// steps are the files of the folder. The wildcard keeps identity: see stayPlain.
func (m migration) steps() []string {
	all := []string{"1-before", "2-read", "3-write", "4-only"}
	if m.folder == "wildcard" {
		return all[:3]
	}
	return all
}

// takeStep gives the API server the next file, by a restart or by letting it notice.
func (c *cluster) takeStep(t *testing.T, m migration, step string, i int) error {
	t.Helper()
	example(t, m.folder+"/"+step+".yaml", c.dir, c.daemon.Socket)
	if i == 0 {
		return c.api.Start()
	}
	if !m.reload {
		return c.api.Restart()
	}
	return proc.Until(patience, "automatic reload", func() error {
		metrics, err := c.api.Metrics()
		if err != nil {
			return err
		}
		if n := reloads(metrics); n < i {
			time.Sleep(time.Second)
			return fmt.Errorf("%d reloads", n)
		}
		return nil
	})
}

// readByTheOthers reads what step 3 has written as an API server does that is still at step 2.
func (c *cluster) readByTheOthers(t *testing.T, m migration, n int) error {
	t.Helper()
	example(t, m.folder+"/2-read.yaml", c.dir, c.daemon.Socket)
	if err := errors.Join(c.api.Restart(), c.read(m, n)); err != nil {
		return fmt.Errorf("at step 2: %w", err)
	}
	example(t, m.folder+"/3-write.yaml", c.dir, c.daemon.Socket)
	return c.api.Restart()
}

var reloadCount = regexp.MustCompile(`(?m)^apiserver_encryption_config_controller_automatic_reloads_total\{.*status="success".*\} (\d+)$`)

func reloads(metrics string) int {
	found := reloadCount.FindStringSubmatch(metrics)
	if found == nil {
		return 0
	}
	n, _ := strconv.Atoi(found[1])
	return n
}

func (c *cluster) create(m migration, first int) error {
	if err := c.api.CreateSecrets(first, perStep); err != nil || !m.widgets() {
		return err
	}
	return c.api.CreateWidgets(first, perStep)
}

func (c *cluster) read(m migration, n int) error {
	if err := c.api.ReadSecrets(n); err != nil || !m.widgets() {
		return err
	}
	return c.api.ReadWidgets(n)
}

func (c *cluster) rewriteAll(m migration, n int) error {
	if m.folder == "wildcard" {
		return errors.Join(c.api.RewriteEverything(), c.checkLeftover())
	}
	if err := c.api.RewriteSecrets(n); err != nil || !m.widgets() {
		return err
	}
	return c.api.RewriteWidgets(n)
}

func (c *cluster) newestBegins(i int, begin string) error {
	return c.allBegin(fmt.Sprintf("secrets/default/secret-%04d", i), begin)
}

// allBegin looks at the raw values below a prefix.
func (c *cluster) allBegin(below, begin string) error {
	values, err := c.etcd.Values(c.api.Prefix + "/" + below)
	if err != nil {
		return err
	}
	if len(values) == 0 {
		return fmt.Errorf("etcd has nothing below %s", below)
	}
	for key, value := range values {
		if !bytes.HasPrefix(value, []byte(begin)) {
			return fmt.Errorf("%s begins with %.40q, not with %q", key, value, begin)
		}
	}
	return nil
}

// stayPlain are the values that a wildcard migration leaves: what is exempt, and what is no object of the API and
// so cannot be rewritten by a client.
var stayPlain = []string{"/configmaps/", "/events/", "/ranges/servicenodeports", "/peerserverleases/"}

// checkLeftover looks for plain values after every object of the API was rewritten.
func (c *cluster) checkLeftover() error {
	values, err := c.etcd.Values(c.api.Prefix + "/")
	if err != nil {
		return err
	}
	var left []string
	for key, value := range values {
		expected := slices.ContainsFunc(stayPlain, func(part string) bool { return strings.Contains(key, part) })
		if !expected && !bytes.HasPrefix(value, []byte(oursV2)) {
			left = append(left, key)
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("still plain: %v", left)
	}
	return nil
}

// checkExempt makes a ConfigMap and a ServiceAccount and looks how each is stored.
func (c *cluster) checkExempt() error {
	if err := errors.Join(c.api.CreateConfigMap("e2e", kube.OpenMarker), c.api.CreateServiceAccount("e2e")); err != nil {
		return err
	}
	return errors.Join(c.allBegin("configmaps/default/e2e", plainValue), c.allBegin("serviceaccounts/default/e2e", oursV2))
}
