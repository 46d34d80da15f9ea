//! Series that are there from the start. Promises: a declared series is shown as zero until something with its labels was
//! measured, so that an alert or a rate can tell "nothing happened" from "nothing is known".

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use prometheus::proto::{Bucket, Histogram, LabelPair, Metric as Sample, MetricFamily, MetricType};

use super::names::{self, Kind, Metric};

type Labels = BTreeSet<(String, String)>;

#[derive(Debug)]
struct Series {
    metric: &'static Metric,
    all: BTreeSet<Labels>,
}

/// The declared series of a process. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Zeros {
    /// By the metric's name.
    declared: Arc<RwLock<BTreeMap<&'static str, Series>>>,
}

impl Zeros {
    /// Declares a series; twice is once.
    pub(super) fn declare(&self, name: &str, labels: &[(&str, &str)]) {
        let Some(metric) = names::find(name) else {
            tracing::error!(name, "a metric that telemetry::names does not describe: a defect");
            return;
        };
        let labels: Labels =
            labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let mut declared = self.declared.write().unwrap_or_else(PoisonError::into_inner);
        let series = declared.entry(metric.name).or_insert_with(|| Series { metric, all: BTreeSet::new() });
        series.all.insert(labels);
    }

    /// Adds to what was gathered the declared series that nothing was measured of.
    pub(super) fn add_to(&self, families: &mut Vec<MetricFamily>) {
        let declared = self.declared.read().unwrap_or_else(PoisonError::into_inner);
        for (name, Series { metric, all }) in declared.iter() {
            let at = families.iter().position(|family| family.name() == *name).unwrap_or_else(|| {
                families.push(family_of(metric));
                families.len() - 1
            });
            let samples = families[at].mut_metric();
            let measured: BTreeSet<Labels> = samples.iter().map(labels_of).collect();
            let missing = all.iter().filter(|labels| {
                !measured.contains(*labels) && !measured.iter().any(|its| its.is_superset(labels))
            });
            samples.extend(missing.map(|labels| zero(metric, labels)));
        }
        families.sort_by(|a, b| a.name().cmp(b.name()));
    }
}

fn labels_of(sample: &Sample) -> Labels {
    sample.get_label().iter().map(|it| (it.name().to_owned(), it.value().to_owned())).collect()
}

fn family_of(metric: &Metric) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(metric.name.to_owned());
    family.set_help(metric.help.to_owned());
    family.set_field_type(match metric.kind {
        Kind::Counter => MetricType::COUNTER,
        Kind::Gauge => MetricType::GAUGE,
        Kind::Histogram(_) => MetricType::HISTOGRAM,
    });
    family
}

fn zero(metric: &Metric, labels: &Labels) -> Sample {
    let label = |(name, value): &(String, String)| {
        let mut label = LabelPair::default();
        label.set_name(name.clone());
        label.set_value(value.clone());
        label
    };
    let mut sample = Sample::from_label(labels.iter().map(label).collect());
    match metric.kind {
        Kind::Counter => sample.set_counter(prometheus::proto::Counter::default()),
        Kind::Gauge => sample.set_gauge(prometheus::proto::Gauge::default()),
        Kind::Histogram(bounds) => {
            let mut histogram = Histogram::default();
            let bucket = |bound: &f64| {
                let mut bucket = Bucket::default();
                bucket.set_upper_bound(*bound);
                bucket
            };
            histogram.set_bucket(bounds.iter().map(bucket).collect());
            sample.set_histogram(histogram);
        }
    }
    sample
}
