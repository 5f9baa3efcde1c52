//! The layout that a recording opens with.
//!
//! Written with Rerun's blueprint archetypes: `re_sdk::blueprint` has no words for the eye, the background and the columns.

use re_sdk::external::re_log_types::BlueprintActivationCommand;
use re_sdk::log::LogMsg;
use re_sdk::{AsComponents, RecordingStream, RecordingStreamBuilder, RecordingStreamResult};
use re_sdk_types::blueprint::archetypes::{
    Background, ContainerBlueprint, EyeControls3D, LineGrid3D, PanelBlueprint, PlotLegend, TextLogColumns, TimePanelBlueprint,
    ViewBlueprint, ViewContents, ViewportBlueprint,
};
use re_sdk_types::blueprint::components::{
    AutoLayout, AutoViews, BackgroundKind, ContainerKind, Corner2D, IncludedContent, PanelState, RootContainer, TextLogColumn,
    TimelineName,
};
use re_sdk_types::blueprint::datatypes;
use re_sdk_types::components::Color;

use crate::scene::TIMELINE;

/// Application id of the recordings, which names their layout too.
pub const APPLICATION: &str = "omnimind_robot";

/// Sends the layout: left the world, right what the camera sees and the plan, below energy and words.
///
/// # Errors
/// Rerun's own, when its types do not serialise.
pub fn send(recording: &RecordingStream) -> RecordingStreamResult<()> {
    let (rec, storage) = RecordingStreamBuilder::new(APPLICATION).recording_id("omnimind_layout").blueprint().memory()?;
    rec.set_time_sequence("blueprint", 0);
    let mut layout = Layout { rec, ids: 0 };
    let root = layout.all()?;
    layout.rec.log(
        "viewport",
        &ViewportBlueprint::new()
            .with_root_container(root)
            .with_auto_layout(AutoLayout(false.into()))
            .with_auto_views(AutoViews(false.into())),
    )?;
    for panel in ["blueprint_panel", "selection_panel"] {
        layout.rec.log(panel, &PanelBlueprint::new().with_state(PanelState::Collapsed))?;
    }
    let time = TimePanelBlueprint::new().with_state(PanelState::Collapsed).with_timeline(TimelineName(TIMELINE.into()));
    layout.rec.log("time_panel", &time)?;
    let messages: Vec<LogMsg> = storage.take();
    let Some(id) = messages.first().map(|m| m.store_id().clone()) else { return Ok(()) };
    recording.send_blueprint(messages, BlueprintActivationCommand::make_default(id));
    Ok(())
}

struct Layout {
    rec: RecordingStream,
    ids: u8,
}

/// A view or a container that is logged already.
struct Part {
    path: String,
    id: [u8; 16],
}

impl Layout {
    fn all(&mut self) -> RecordingStreamResult<RootContainer> {
        // The home as a doll's house, seen from above its front.
        let eye = EyeControls3D::new().with_position([5.0, -4.4, 10.6]).with_look_target([5.0, 3.75, 0.0]);
        let dark = Background::new(BackgroundKind::SolidColor).with_color(Color::from_rgb(24, 27, 33));
        let no_grid = LineGrid3D::new().with_visible(false);
        let world = ["$origin/**", "- $origin/robot/camera/depth/**", "- $origin/robot/camera/image/detections/**"];
        let world = self.view(
            "3D",
            "World",
            "world",
            &world,
            &[("EyeControls3D", &eye), ("Background", &dark), ("LineGrid3D", &no_grid)],
        )?;
        let camera = self.view("2D", "Camera", "world/robot/camera", &["$origin/image/**"], &[])?;
        let depth = self.view("2D", "Depth", "world/robot/camera", &["$origin/depth/**"], &[])?;
        let sound = self.view("2D", "Sound", "sound", &["$origin/spectrogram"], &[])?;
        let eyes = self.container(ContainerKind::Tabs, &[camera, depth, sound], &[])?;
        let plan = self.view("TextDocument", "Plan", "plan", &["$origin/**"], &[])?;
        let legend = PlotLegend::new().with_corner(Corner2D::LeftBottom);
        let energy = self.view(
            "TimeSeries",
            "Energy, Wh",
            "battery",
            &["$origin/charge_wh", "$origin/to_dock_wh"],
            &[("PlotLegend", &legend)],
        )?;
        let charge = self.view("TimeSeries", "Charge, %", "battery", &["$origin/percent"], &[])?;
        let energy = self.container(ContainerKind::Tabs, &[energy, charge], &[])?;
        let hidden = PlotLegend::new().with_visible(false);
        let power = self.view("TimeSeries", "Power, W", "battery", &["$origin/power_w"], &[("PlotLegend", &hidden)])?;
        let speed = self.view("TimeSeries", "Speed, m/s", "motion", &["$origin/**"], &[("PlotLegend", &hidden)])?;
        let level = self.view("TimeSeries", "Sound, dBFS", "sound", &["$origin/level_dbfs"], &[("PlotLegend", &hidden)])?;
        let power = self.container(ContainerKind::Tabs, &[speed, power, level], &[])?;
        let column = |kind| TextLogColumn(datatypes::TextLogColumn { visible: true.into(), kind });
        let columns = TextLogColumns::new().with_text_log_columns([column(datatypes::TextLogColumnKind::Body)]);
        let words = self.view("TextLog", "Words", "log", &["$origin/**"], &[("TextLogColumns", &columns)])?;
        let plots = self.container(ContainerKind::Horizontal, &[energy, power], &[])?;
        let left = self.container(ContainerKind::Vertical, &[world, plots], &[3.2, 1.0])?;
        let right = self.container(ContainerKind::Vertical, &[eyes, plan, words], &[3.4, 2.8, 1.8])?;
        let root = self.container(ContainerKind::Horizontal, &[left, right], &[3.0, 2.0])?;
        Ok(RootContainer(root.id.into()))
    }

    fn view(
        &mut self,
        class: &str,
        name: &str,
        origin: &str,
        contents: &[&str],
        properties: &[(&str, &dyn AsComponents)],
    ) -> RecordingStreamResult<Part> {
        let part = self.part("view");
        let contents = ViewContents::new(contents.iter().copied());
        self.rec.log(format!("{}/ViewContents", part.path), &contents)?;
        self.rec.log(
            part.path.as_str(),
            &ViewBlueprint::new(class).with_display_name(name).with_space_origin(format!("/{origin}")),
        )?;
        for (property, value) in properties {
            self.rec.log(format!("{}/{property}", part.path), *value)?;
        }
        Ok(part)
    }

    /// `shares`: of the width or height, for all parts or none.
    fn container(&mut self, kind: ContainerKind, parts: &[Part], shares: &[f32]) -> RecordingStreamResult<Part> {
        let part = self.part("container");
        let contents = parts.iter().map(|p| IncludedContent(p.path.as_str().into()));
        let mut container = ContainerBlueprint::new(kind).with_contents(contents);
        if !shares.is_empty() {
            let shares = shares.iter().copied();
            container = if kind == ContainerKind::Horizontal {
                container.with_col_shares(shares)
            } else {
                container.with_row_shares(shares)
            };
        }
        if kind == ContainerKind::Tabs {
            container = container.with_active_tab(parts[0].path.as_str());
        }
        self.rec.log(part.path.as_str(), &container)?;
        Ok(part)
    }

    /// Numbered ids: the same layout has the same bytes.
    fn part(&mut self, kind: &str) -> Part {
        self.ids += 1;
        let mut id = [0; 16];
        id[15] = self.ids;
        Part { path: format!("{kind}/00000000-0000-0000-0000-0000000000{:02x}", self.ids), id }
    }
}
