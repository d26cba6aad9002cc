package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/encoding/gzip" // kube-apiserver links it, so its calls offer gzip
	"google.golang.org/protobuf/encoding/protowire"
)

const uid = "5e2d6a0c-7f1b-4c55-9d0e-2b7a8f3c1d44"

type kms struct {
	connection *grpc.ClientConn
	timeout    time.Duration
}

// dial connects as kube-apiserver does: the target is the bare address, the dialer ignores it.
func dial(socket, authority string, timeout time.Duration) (*kms, error) {
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.WaitForReady(true)),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
			return net.DialUnix("unix", nil, &net.UnixAddr{Name: socket, Net: "unix"})
		}),
	}
	if authority == "localhost" {
		options = append(options, grpc.WithAuthority(authority))
	}
	// grpc.NewClient would resolve the target; kube-apiserver dials it as it stands.
	connection, err := grpc.Dial(socket, options...)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", socket, err)
	}
	return &kms{connection, timeout}, nil
}

func (k *kms) call(method string, request []byte) (map[protowire.Number][]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), k.timeout)
	defer cancel()
	var response []byte
	if err := k.connection.Invoke(ctx, method, &request, &response); err != nil {
		return nil, err
	}
	return unpack(response)
}

type status struct {
	Version        string `json:"version"`
	Healthz        string `json:"healthz,omitempty"`
	KeyID          string `json:"key_id,omitempty"`
	RuntimeName    string `json:"runtime_name,omitempty"`
	RuntimeVersion string `json:"runtime_version,omitempty"`
}

type sealed struct {
	Ciphertext []byte `json:"ciphertext"`
	KeyID      string `json:"key_id,omitempty"`
}

// api is what both versions of the KMS API can do.
type api interface {
	status() (*status, error)
	encrypt(plaintext []byte) (*sealed, error)
	decrypt(*sealed) ([]byte, error)
}

type v2 struct{ *kms }

func (k v2) status() (*status, error) {
	answer, err := k.call("/v2.KeyManagementService/Status", nil)
	if err != nil {
		return nil, err
	}
	return &status{Version: string(answer[1]), Healthz: string(answer[2]), KeyID: string(answer[3])}, nil
}

func (k v2) encrypt(plaintext []byte) (*sealed, error) {
	answer, err := k.call("/v2.KeyManagementService/Encrypt", pack(field{1, plaintext}, text(2, uid)))
	if err != nil {
		return nil, err
	}
	return &sealed{answer[1], string(answer[2])}, nil
}

func (k v2) decrypt(s *sealed) ([]byte, error) {
	answer, err := k.call("/v2.KeyManagementService/Decrypt",
		pack(field{1, s.Ciphertext}, text(2, uid), text(3, s.KeyID)))
	return answer[1], err
}

type v1 struct{ *kms }

const v1Version = "v1beta1"

func (k v1) status() (*status, error) {
	answer, err := k.call("/v1beta1.KeyManagementService/Version", pack(text(1, v1Version)))
	if err != nil {
		return nil, err
	}
	return &status{Version: string(answer[1]), RuntimeName: string(answer[2]), RuntimeVersion: string(answer[3])}, nil
}

func (k v1) encrypt(plaintext []byte) (*sealed, error) {
	answer, err := k.call("/v1beta1.KeyManagementService/Encrypt", pack(text(1, v1Version), field{2, plaintext}))
	if err != nil {
		return nil, err
	}
	return &sealed{Ciphertext: answer[1]}, nil
}

func (k v1) decrypt(s *sealed) ([]byte, error) {
	answer, err := k.call("/v1beta1.KeyManagementService/Decrypt", pack(text(1, v1Version), field{2, s.Ciphertext}))
	return answer[1], err
}

func encryptRandom(k api) (*sealed, error) {
	s, _, err := sealRandom(k)
	return s, err
}

func sealRandom(k api) (*sealed, []byte, error) {
	plaintext := make([]byte, 32)
	if _, err := rand.Read(plaintext); err != nil {
		return nil, nil, fmt.Errorf("random bytes: %w", err)
	}
	s, err := k.encrypt(plaintext)
	return s, plaintext, err
}

// roundTrip seals 32 random bytes and opens them again.
func roundTrip(k api) (*sealed, error) {
	s, plaintext, err := sealRandom(k)
	if err != nil {
		return nil, err
	}
	opened, err := k.decrypt(s)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(opened, plaintext) {
		return nil, errors.New("another plaintext came back")
	}
	return s, nil
}
