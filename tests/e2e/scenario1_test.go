package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"p11-kms/tests/e2e/kube"
	"p11-kms/tests/e2e/plugin"
)

// 1000 Secrets: sealed in etcd, equal when read back, and one seed for all of them.
func TestScenario1_SecretsAreSealed(t *testing.T) {
	t.Parallel()
	daemon := startDaemon(t, plugin.Settings{})
	for _, version := range versions {
		t.Run(version, func(t *testing.T) { secretsAreSealed(t, version, daemon) })
	}
}

func secretsAreSealed(t *testing.T, version string, daemon *plugin.Daemon) {
	const n = 1000
	r := result(t, "1", "1000 Secrets are sealed and read back", version)
	var c *cluster
	counted(t, r, daemon, "start of the API server", func() error { c = startCluster(t, version, daemon); return nil })
	counted(t, r, daemon, "1000 Secrets created", func() error { return c.api.CreateSecrets(0, n) })
	counted(t, r, daemon, "1000 Secrets read", func() error { return c.api.ReadSecrets(n) })
	calls, err := c.api.KMSCalls()
	must(t, err)
	r.Fact("gRPC calls of the API server for all of this: %s", calls)
	must(t, c.sealed(n))
	must(t, c.noPlaintext())
	r.Fact("etcd's files hold the text of a ConfigMap, and that of no Secret")
	readyz, err := c.api.Readyz()
	must(t, err)
	if !strings.Contains(readyz, "[+]kms-providers ok") {
		t.Fatalf("readyz: %s", readyz)
	}
	r.Fact("/readyz?verbose: [+]kms-providers ok")
	status, err := daemon.Status()
	must(t, err)
	must(t, c.onlyUnder(status.KeyID))
	r.Fact("p11-kmsctl inspect of every raw value: %s", status.KeyID)
}

// noPlaintext searches the files of etcd for what the user wrote.
func (c *cluster) noPlaintext() error {
	if err := c.api.CreateConfigMap("open", kube.OpenMarker); err != nil {
		return err
	}
	open, err := c.etcd.FilesHold([]byte(kube.OpenMarker))
	if err != nil {
		return err
	}
	if !open {
		return errors.New("the search does not even find a ConfigMap")
	}
	found, err := c.etcd.FilesHold([]byte(kube.Marker))
	if found {
		return errors.New("etcd's files hold plaintext")
	}
	return err
}

// sealed looks at the raw values: each is of KMS v2 and none holds what the user wrote.
func (c *cluster) sealed(n int) error {
	values, err := c.etcd.Values(secretsKey + "default/")
	if err != nil {
		return err
	}
	if len(values) != n {
		return fmt.Errorf("etcd holds %d Secrets", len(values))
	}
	for key, value := range values {
		if !bytes.HasPrefix(value, []byte("k8s:enc:kms:v2:p11-kms:")) || bytes.Contains(value, []byte(kube.Marker)) {
			return fmt.Errorf("%s is not sealed: %.60q", key, value)
		}
	}
	return nil
}
