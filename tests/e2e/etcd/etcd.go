// Package etcd runs one etcd and looks at what it holds without an API server.
package etcd

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"p11-kms/tests/e2e/pki"
	"p11-kms/tests/e2e/proc"
)

// Server is one etcd with its data in a folder of its own.
type Server struct {
	URL      string
	Files    *pki.Files
	Client   *clientv3.Client
	programs string
	dir      string
	data     string
	restores int
	peer     string
	process  *proc.Process
}

// New prepares an etcd; programs is the folder of etcd and etcdutl.
func New(programs, dir string, files *pki.Files) (*Server, error) {
	port, err := proc.FreePort()
	if err != nil {
		return nil, err
	}
	peerPort, err := proc.FreePort()
	if err != nil {
		return nil, err
	}
	return &Server{
		URL: fmt.Sprintf("https://127.0.0.1:%d", port), peer: fmt.Sprintf("http://127.0.0.1:%d", peerPort),
		Files: files, programs: programs, dir: dir, data: filepath.Join(dir, "etcd"),
	}, nil
}

// Start runs it and waits until it answers.
func (s *Server) Start() error {
	var err error
	s.process, err = proc.Start(s.dir, proc.Command{Name: "etcd", Path: filepath.Join(s.programs, "etcd"), Args: []string{
		"--name=e2e", "--data-dir=" + s.data, "--log-level=warn",
		"--listen-client-urls=" + s.URL, "--advertise-client-urls=" + s.URL,
		"--listen-peer-urls=" + s.peer, "--initial-advertise-peer-urls=" + s.peer, "--initial-cluster=e2e=" + s.peer,
		"--cert-file=" + s.Files.Cert, "--key-file=" + s.Files.Key,
		"--client-cert-auth", "--trusted-ca-file=" + s.Files.CA,
		// The data are thrown away; waiting for the disk would only slow the tests down.
		"--unsafe-no-fsync",
	}})
	if err != nil {
		return err
	}
	config, err := s.Files.ClientTLS()
	if err != nil {
		return err
	}
	s.Client, err = clientv3.New(clientv3.Config{Endpoints: []string{s.URL}, TLS: config, DialTimeout: 10 * time.Second, Logger: zap.NewNop()})
	if err != nil {
		return fmt.Errorf("etcd client: %w", err)
	}
	return proc.Until(2*time.Minute, "etcd", func() error {
		if err := s.process.Alive(); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_, err := s.Client.Get(ctx, "none")
		return err
	})
}

// Stop ends it; the data stay.
func (s *Server) Stop() error {
	if s.process == nil {
		return nil
	}
	if s.Client != nil {
		_ = s.Client.Close()
	}
	return s.process.Stop()
}

// Values are the raw values below a prefix, by key.
func (s *Server) Values(prefix string) (map[string][]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	response, err := s.Client.Get(ctx, prefix, clientv3.WithPrefix())
	if err != nil {
		return nil, fmt.Errorf("etcd values of %s: %w", prefix, err)
	}
	values := map[string][]byte{}
	for _, pair := range response.Kvs {
		values[string(pair.Key)] = pair.Value
	}
	return values, nil
}

// Writes says how often the keys below a prefix were written since each was made: the sum of etcd's own counts.
func (s *Server) Writes(prefix string) (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	response, err := s.Client.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		return 0, fmt.Errorf("etcd writes of %s: %w", prefix, err)
	}
	sum := 0
	for _, pair := range response.Kvs {
		sum += int(pair.Version)
	}
	return sum, nil
}

// FilesHold says whether any file of the data folder holds these bytes.
func (s *Server) FilesHold(marker []byte) (bool, error) {
	found := false
	err := filepath.WalkDir(s.data, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		found = found || bytes.Contains(content, marker)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("files of etcd: %w", err)
	}
	return found, nil
}

// Snapshot writes a backup, as an operator's cron job does.
func (s *Server) Snapshot(path string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	reader, err := s.Client.Snapshot(ctx)
	if err != nil {
		return fmt.Errorf("etcd snapshot: %w", err)
	}
	defer reader.Close()
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("etcd snapshot: %w", err)
	}
	defer file.Close()
	if _, err := io.Copy(file, reader); err != nil {
		return fmt.Errorf("etcd snapshot: %w", err)
	}
	return nil
}

// Restore makes a new data folder from a backup with etcdutl; the server must be stopped.
func (s *Server) Restore(snapshot string) error {
	s.restores++
	s.data = filepath.Join(s.dir, fmt.Sprintf("etcd-restored-%d", s.restores))
	out, err := exec.Command(filepath.Join(s.programs, "etcdutl"), "snapshot", "restore", snapshot,
		"--data-dir="+s.data, "--name=e2e", "--initial-cluster=e2e="+s.peer,
		"--initial-advertise-peer-urls="+s.peer).CombinedOutput()
	if err != nil {
		return fmt.Errorf("etcdutl snapshot restore: %w: %s", err, out)
	}
	return nil
}
