package kube

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const workers = 8

// Marker is part of every Secret's content and must never be found in etcd's files. OpenMarker is for a ConfigMap,
// which nothing seals: a search that does not find that one proves nothing.
const (
	Marker     = "plaintext-marker-5d1c"
	OpenMarker = "open-marker-90b2"
)

func secretName(i int) string { return fmt.Sprintf("secret-%04d", i) }

func secretValue(i int) string { return fmt.Sprintf("%s-%04d", Marker, i) }

// each runs do for first..first+n-1 by several workers and returns the first error, also when not all were done.
func each(first, n int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	numbers := make(chan int)
	failures := make(chan error, workers)
	var group sync.WaitGroup
	for range workers {
		group.Add(1)
		go func() {
			defer group.Done()
			for i := range numbers {
				if err := do(ctx, i); err != nil {
					failures <- fmt.Errorf("secret %d: %w", i, err)
					cancel()
					return
				}
			}
		}()
	}
	for i := first; i < first+n && ctx.Err() == nil; i++ {
		select {
		case numbers <- i:
		case <-ctx.Done():
		}
	}
	close(numbers)
	group.Wait()
	select {
	case err := <-failures:
		return err
	default:
		return ctx.Err()
	}
}

// CreateSecrets makes n Secrets, numbered from first.
func (s *APIServer) CreateSecrets(first, n int) error {
	return each(first, n, s.createSecret)
}

func (s *APIServer) createSecret(ctx context.Context, i int) error {
	_, err := s.Client.CoreV1().Secrets("default").Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: secretName(i)},
		StringData: map[string]string{"password": secretValue(i)},
	}, metav1.CreateOptions{})
	return err
}

// CreateConfigMap makes a ConfigMap with one text.
func (s *APIServer) CreateConfigMap(name, text string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err := s.Client.CoreV1().ConfigMaps("default").Create(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{"text": text},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("create ConfigMap: %w", err)
	}
	return nil
}

// CreateServiceAccount makes a ServiceAccount.
func (s *APIServer) CreateServiceAccount(name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err := s.Client.CoreV1().ServiceAccounts("default").Create(ctx, &corev1.ServiceAccount{
		ObjectMeta: metav1.ObjectMeta{Name: name},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("create ServiceAccount: %w", err)
	}
	return nil
}

// ReadSecret reads one Secret and compares its content.
func (s *APIServer) ReadSecret(ctx context.Context, i int) error {
	secret, err := s.Client.CoreV1().Secrets("default").Get(ctx, secretName(i), metav1.GetOptions{})
	if err != nil {
		return err
	}
	if got := string(secret.Data["password"]); got != secretValue(i) {
		return fmt.Errorf("content is %q", got)
	}
	return nil
}

// ReadSecrets reads each of n Secrets by itself, and then all in one list.
func (s *APIServer) ReadSecrets(n int) error {
	if err := each(0, n, s.ReadSecret); err != nil {
		return err
	}
	_, err := s.ListSecrets(n)
	return err
}

// ListSecrets lists all Secrets, compares them and says how long the list took.
func (s *APIServer) ListSecrets(n int) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	start := time.Now()
	list, err := s.Client.CoreV1().Secrets("default").List(ctx, metav1.ListOptions{})
	took := time.Since(start)
	if err != nil {
		return took, fmt.Errorf("list: %w", err)
	}
	found := map[string]string{}
	for _, secret := range list.Items {
		found[secret.Name] = string(secret.Data["password"])
	}
	for i := range n {
		if found[secretName(i)] != secretValue(i) {
			return took, fmt.Errorf("list: %s is %q", secretName(i), found[secretName(i)])
		}
	}
	return took, nil
}

// UpdateSecret changes a label, which writes the object.
func (s *APIServer) UpdateSecret(ctx context.Context, i int, label string) error {
	secrets := s.Client.CoreV1().Secrets("default")
	secret, err := secrets.Get(ctx, secretName(i), metav1.GetOptions{})
	if err != nil {
		return err
	}
	secret.Labels = map[string]string{"e2e": label}
	_, err = secrets.Update(ctx, secret, metav1.UpdateOptions{})
	return err
}

// RewriteSecrets reads and replaces n Secrets unchanged: the API server writes what is stale.
func (s *APIServer) RewriteSecrets(n int) error {
	secrets := s.Client.CoreV1().Secrets("default")
	return each(0, n, func(ctx context.Context, i int) error {
		secret, err := secrets.Get(ctx, secretName(i), metav1.GetOptions{})
		if err != nil {
			return err
		}
		_, err = secrets.Update(ctx, secret, metav1.UpdateOptions{})
		return err
	})
}
