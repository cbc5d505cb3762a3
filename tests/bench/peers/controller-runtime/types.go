package main

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var groupVersion = schema.GroupVersion{Group: "peer.modelops.dev", Version: "v1"}

// PeerModel says what is to serve: an artifact, and the pods that serve it.
type PeerModel struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              PeerModelSpec   `json:"spec"`
	Status            PeerModelStatus `json:"status,omitempty"`
}

type PeerModelSpec struct {
	URI      string                 `json:"uri"`
	Digest   string                 `json:"digest"`
	Replicas int32                  `json:"replicas"`
	Template corev1.PodTemplateSpec `json:"template"`
}

type PeerModelStatus struct {
	ObservedGeneration int64              `json:"observedGeneration,omitempty"`
	ReadyReplicas      int32              `json:"readyReplicas"`
	Digest             string             `json:"digest,omitempty"`
	Conditions         []metav1.Condition `json:"conditions,omitempty"`
}

type PeerModelList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []PeerModel `json:"items"`
}

func (m *PeerModel) DeepCopyObject() runtime.Object {
	out := *m
	m.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	m.Spec.Template.DeepCopyInto(&out.Spec.Template)
	out.Status = *m.Status.DeepCopy()
	return &out
}

func (s *PeerModelStatus) DeepCopy() *PeerModelStatus {
	out := *s
	out.Conditions = append([]metav1.Condition(nil), s.Conditions...)
	return &out
}

func (l *PeerModelList) DeepCopyObject() runtime.Object {
	out := *l
	out.Items = make([]PeerModel, len(l.Items))
	for i := range l.Items {
		out.Items[i] = *l.Items[i].DeepCopyObject().(*PeerModel)
	}
	return &out
}

func addToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(groupVersion, &PeerModel{}, &PeerModelList{})
	metav1.AddToGroupVersion(s, groupVersion)
	return nil
}
