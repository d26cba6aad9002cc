package kube

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"p11-kms/tests/e2e/proc"
)

var (
	definitions = schema.GroupVersionResource{
		Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions",
	}
	widgets = schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "widgets"}
)

// DefineWidgets makes the custom resource widgets.example.com and waits until it is served.
func (s *APIServer) DefineWidgets() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	definition := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{"name": "widgets.example.com"},
		"spec": map[string]any{
			"group": "example.com", "scope": "Namespaced",
			"names": map[string]any{"plural": "widgets", "singular": "widget", "kind": "Widget"},
			"versions": []any{map[string]any{
				"name": "v1", "served": true, "storage": true,
				"schema": map[string]any{"openAPIV3Schema": map[string]any{
					"type": "object", "x-kubernetes-preserve-unknown-fields": true,
				}},
			}},
		},
	}}
	if _, err := s.Dynamic.Resource(definitions).Create(ctx, definition, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("define widgets: %w", err)
	}
	return s.widgetsServed()
}

func (s *APIServer) widgetsServed() error {
	return proc.Until(Patience, "widgets are served", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_, err := s.widgets().List(ctx, metav1.ListOptions{})
		return err
	})
}

func (s *APIServer) widgets() dynamic.ResourceInterface {
	return s.Dynamic.Resource(widgets).Namespace("default")
}

func widgetName(i int) string { return fmt.Sprintf("widget-%04d", i) }

// CreateWidgets makes n widgets, numbered from first.
func (s *APIServer) CreateWidgets(first, n int) error {
	return each(first, n, func(ctx context.Context, i int) error {
		_, err := s.widgets().Create(ctx, &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "example.com/v1", "kind": "Widget",
			"metadata": map[string]any{"name": widgetName(i)}, "secret": secretValue(i),
		}}, metav1.CreateOptions{})
		return err
	})
}

// ReadWidgets reads n widgets and compares their content.
func (s *APIServer) ReadWidgets(n int) error {
	if err := s.widgetsServed(); err != nil {
		return err
	}
	return each(0, n, func(ctx context.Context, i int) error {
		widget, err := s.widgets().Get(ctx, widgetName(i), metav1.GetOptions{})
		if err != nil {
			return err
		}
		if widget.Object["secret"] != secretValue(i) {
			return fmt.Errorf("widget has %q", widget.Object["secret"])
		}
		return nil
	})
}

// RewriteWidgets reads and replaces n widgets unchanged.
func (s *APIServer) RewriteWidgets(n int) error {
	return each(0, n, func(ctx context.Context, i int) error {
		widget, err := s.widgets().Get(ctx, widgetName(i), metav1.GetOptions{})
		if err != nil {
			return err
		}
		_, err = s.widgets().Update(ctx, widget, metav1.UpdateOptions{})
		return err
	})
}
