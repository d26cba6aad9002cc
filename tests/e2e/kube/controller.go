package kube

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"p11-kms/tests/e2e/proc"
)

const kubeconfig = `apiVersion: v1
kind: Config
clusters: [{name: e2e, cluster: {server: "%s", certificate-authority: "%s"}}]
users: [{name: admin, user: {token: "%s"}}]
contexts: [{name: e2e, context: {cluster: e2e, user: admin}}]
current-context: e2e
`

// StartMigrator runs a kube-controller-manager that has only what a StorageVersionMigration needs.
func (s *APIServer) StartMigrator() (*proc.Process, error) {
	path := filepath.Join(s.Dir, "kubeconfig")
	text := fmt.Sprintf(kubeconfig, s.rest.Host, s.Etcd.Files.CA, token)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("kubeconfig: %w", err)
	}
	port, err := proc.FreePort()
	if err != nil {
		return nil, err
	}
	return proc.Start(s.Dir, proc.Command{
		Name: "controller-manager", Path: filepath.Join(s.Programs, "kube-"+s.Version, "kube-controller-manager"),
		Args: []string{
			"--kubeconfig=" + path, "--leader-elect=false", "--bind-address=127.0.0.1",
			fmt.Sprintf("--secure-port=%d", port), "--cert-dir=" + s.Dir,
			// The migrator uses the garbage collector's view of the cluster.
			"--controllers=storage-version-migrator-controller,garbage-collector-controller",
			"--v=2",
		},
	})
}

var migrations = schema.GroupVersionResource{
	Group: "storagemigration.k8s.io", Version: "v1", Resource: "storageversionmigrations",
}

// MigrateSecrets has every Secret rewritten by a StorageVersionMigration and waits until it has succeeded.
func (s *APIServer) MigrateSecrets(name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), Patience+10*time.Second)
	defer cancel()
	migration := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": migrations.GroupVersion().String(), "kind": "StorageVersionMigration",
		"metadata": map[string]any{"name": name},
		"spec":     map[string]any{"resource": map[string]any{"group": "", "resource": "secrets"}},
	}}
	client := s.Dynamic.Resource(migrations)
	if _, err := client.Create(ctx, migration, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create StorageVersionMigration: %w", err)
	}
	return proc.Until(Patience, "StorageVersionMigration", func() error {
		object, err := client.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		conditions, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
		for _, c := range conditions {
			if condition, _ := c.(map[string]any); condition["type"] == "Succeeded" && condition["status"] == "True" {
				return nil
			}
		}
		return fmt.Errorf("conditions: %v", conditions)
	})
}
