//! The layout that a recording opens with.

use re_sdk::blueprint::{
    Blueprint, BlueprintPanel, Horizontal, SelectionPanel, Spatial2DView, Spatial3DView, Tabs, TextDocumentView, TextLogView, TimePanel,
    TimeSeriesView, Vertical,
};
use re_sdk_types::blueprint::components::PanelState;

use crate::scene::TIMELINE;

/// Left the world, right what the camera sees and the plan, below energy and words.
#[must_use]
pub fn layout() -> Blueprint {
    let world = Spatial3DView::new("World").with_origin("world").with_contents([
        "$origin/**",
        // The depth image as a cloud hides more than it shows.
        "- $origin/robot/camera/depth/**",
        "- $origin/robot/camera/image/**",
    ]);
    let camera = Spatial2DView::new("Camera").with_origin("world/robot/camera").with_contents(["$origin/image/**"]);
    let depth = Spatial2DView::new("Depth").with_origin("world/robot/camera").with_contents(["$origin/depth/**"]);
    let plan = TextDocumentView::new("Plan").with_origin("plan");
    let words = TextLogView::new("Words").with_origin("log").with_contents(["log/**"]);
    let battery = TimeSeriesView::new("Charge").with_origin("battery").with_contents(["battery/**"]);
    let speed = TimeSeriesView::new("Speed").with_origin("motion").with_contents(["motion/**"]);
    let upper = Horizontal::new([
        Vertical::new([world.into(), Horizontal::new([battery.into(), speed.into()]).into()]).with_row_shares(vec![3.0, 1.0]).into(),
        Vertical::new([Tabs::new([camera.into(), depth.into()]).into(), plan.into(), words.into()]).with_row_shares(vec![3.0, 2.0, 2.0]).into(),
    ])
    .with_column_shares(vec![3.0, 2.0]);
    Blueprint::new(upper)
        .with_auto_views(false)
        .with_blueprint_panel(BlueprintPanel::from_state(PanelState::Collapsed))
        .with_selection_panel(SelectionPanel::from_state(PanelState::Collapsed))
        .with_time_panel(TimePanel::new().with_state(PanelState::Collapsed).with_timeline(TIMELINE))
}
