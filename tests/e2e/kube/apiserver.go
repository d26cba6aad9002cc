// Package kube runs kube-apiserver and kube-controller-manager and asks them as a user would.
package kube

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"p11-kms/tests/e2e/etcd"
	"p11-kms/tests/e2e/proc"
)

const token = "e2e-admin"

// Patience is for what takes seconds when all is well, on a machine that does much else.
const Patience = 3 * time.Minute

// Config of one API server.
type Config struct {
	Programs   string // folder of kube-VERSION/kube-apiserver
	Version    string
	Dir        string
	Etcd       *etcd.Server
	Prefix     string // of its objects in etcd
	Encryption string // path of the EncryptionConfiguration
	Reload     bool   // watch that file
	UID        uint32 // 0: the user of the test
	Args       []string
}

// APIServer is one kube-apiserver on the loopback.
type APIServer struct {
	Config
	Name    string
	port    int
	process *proc.Process
	rest    *rest.Config
	http    *http.Client
	Client  *kubernetes.Clientset
	Dynamic *dynamic.DynamicClient
}

// NewAPIServer prepares an API server; name is that of its log.
func NewAPIServer(name string, c Config) (*APIServer, error) {
	port, err := proc.FreePort()
	if err != nil {
		return nil, err
	}
	s := &APIServer{Config: c, Name: name, port: port}
	s.rest = &rest.Config{
		Host: fmt.Sprintf("https://127.0.0.1:%d", port), BearerToken: token, QPS: -1, Timeout: time.Minute,
		TLSClientConfig: rest.TLSClientConfig{CAFile: c.Etcd.Files.CA},
		WarningHandler:  rest.NoWarnings{},
	}
	if s.http, err = rest.HTTPClientFor(s.rest); err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	if s.Client, err = kubernetes.NewForConfig(s.rest); err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	if s.Dynamic, err = dynamic.NewForConfig(s.rest); err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	users := fmt.Sprintf("%s,admin,admin,\"system:masters\"\n", token)
	if err := os.WriteFile(s.tokens(), []byte(users), 0o644); err != nil {
		return nil, fmt.Errorf("token file: %w", err)
	}
	return s, nil
}

func (s *APIServer) tokens() string { return filepath.Join(s.Dir, "users.csv") }

func (s *APIServer) arguments() []string {
	files := s.Etcd.Files
	arguments := []string{
		"--etcd-servers=" + s.Etcd.URL, "--etcd-cafile=" + files.CA,
		"--etcd-certfile=" + files.Cert, "--etcd-keyfile=" + files.Key, "--etcd-prefix=" + s.Prefix,
		fmt.Sprintf("--secure-port=%d", s.port), "--bind-address=127.0.0.1",
		// Nobody reaches this API server but by its loopback address, and new versions refuse to advertise that.
		"--advertise-address=192.0.2.1", "--endpoint-reconciler-type=none",
		"--service-cluster-ip-range=10.96.0.0/16",
		"--tls-cert-file=" + files.Cert, "--tls-private-key-file=" + files.Key, "--client-ca-file=" + files.CA,
		"--token-auth-file=" + s.tokens(), "--authorization-mode=RBAC",
		"--service-account-issuer=https://e2e", "--service-account-key-file=" + files.ServiceAccountKey,
		"--service-account-signing-key-file=" + files.ServiceAccountKey,
		"--v=2", "--vmodule=envelope=6,config=6",
	}
	if s.Encryption != "" {
		arguments = append(arguments, "--encryption-provider-config="+s.Encryption)
		arguments = append(arguments, fmt.Sprintf("--encryption-provider-config-automatic-reload=%t", s.Reload))
	}
	return append(arguments, s.Args...)
}

// Launch runs the API server without waiting for it.
func (s *APIServer) Launch() error {
	var err error
	s.process, err = proc.Start(s.Dir, proc.Command{
		Name: s.Name, Path: filepath.Join(s.Programs, "kube-"+s.Version, "kube-apiserver"),
		Args: s.arguments(), UID: s.UID,
	})
	return err
}

// Start runs the API server and waits until it is ready.
func (s *APIServer) Start() error {
	if err := s.Launch(); err != nil {
		return err
	}
	return s.WaitReady()
}

// WaitReady waits for /readyz to be ok.
func (s *APIServer) WaitReady() error {
	return proc.Until(Patience, s.Name+" ready", func() error {
		if err := s.process.Alive(); err != nil {
			return err
		}
		_, err := s.Readyz()
		return err
	})
}

// Stop ends it; the objects stay in etcd.
func (s *APIServer) Stop() error {
	if s.process == nil {
		return nil
	}
	return s.process.Stop()
}

// Restart stops and starts it.
func (s *APIServer) Restart() error {
	if err := s.Stop(); err != nil {
		return err
	}
	return s.Start()
}

// Readyz is the text of /readyz?verbose; an error when it is not ok.
func (s *APIServer) Readyz() (string, error) { return s.get("/readyz?verbose") }

// Metrics of the API server, as text.
func (s *APIServer) Metrics() (string, error) { return s.get("/metrics") }

// get asks with plain HTTP: client-go keeps no body of an answer that is not ok.
func (s *APIServer) get(path string) (string, error) {
	response, err := s.http.Get(s.rest.Host + path)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	if response.StatusCode != http.StatusOK {
		return string(body), fmt.Errorf("%s answers %d: %s", path, response.StatusCode, failing(string(body)))
	}
	return string(body), nil
}

// failing are the lines of a health report that are not ok.
func failing(report string) string {
	var bad []string
	for _, line := range strings.Split(report, "\n") {
		if strings.HasPrefix(line, "[-]") {
			bad = append(bad, line)
		}
	}
	return strings.Join(bad, "; ")
}

// Log of the API server, with those of its earlier starts.
func (s *APIServer) Log() string { return s.process.Log() }
