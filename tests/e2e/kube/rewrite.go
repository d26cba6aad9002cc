package kube

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// RewriteEverything reads and replaces every object of every resource that can be listed and updated, unchanged,
// as a migration of '*.*' has to.
func (s *APIServer) RewriteEverything() error {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	lists, err := s.Client.Discovery().ServerPreferredResources()
	if err != nil {
		return fmt.Errorf("discovery: %w", err)
	}
	for _, list := range lists {
		group, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return fmt.Errorf("discovery: %w", err)
		}
		for _, resource := range list.APIResources {
			if !slices.Contains(resource.Verbs, "list") || !slices.Contains(resource.Verbs, "update") {
				continue
			}
			if err := s.rewrite(ctx, group.WithResource(resource.Name)); err != nil {
				return fmt.Errorf("rewrite %s: %w", resource.Name, err)
			}
		}
	}
	return nil
}

func (s *APIServer) rewrite(ctx context.Context, resource schema.GroupVersionResource) error {
	client := s.Dynamic.Resource(resource)
	list, err := client.List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, object := range list.Items {
		_, err := client.Namespace(object.GetNamespace()).Update(ctx, &object, metav1.UpdateOptions{})
		// Whoever was quicker has written it with the new provider.
		if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			return fmt.Errorf("%s: %w", object.GetName(), err)
		}
	}
	return nil
}
